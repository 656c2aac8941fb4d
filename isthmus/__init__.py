"""All that does not know Prefect: what users write, what steps exchange, where clusters live."""

__version__ = "0.1.0"
