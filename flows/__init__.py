"""What Isthmus can do, one Prefect flow a module. A flow orders tasks and does no I/O itself."""
