"""The verbs about the local Prefect server: server start, stop, status."""

import click

from isthmus.cli import options, terminal
from isthmus.errors import Findings


@click.group(short_help="Start, stop or find the local Prefect server.")
def server() -> None:
    """The local Prefect server, which records and shows runs; `up` starts it by itself."""


@server.command()
def start() -> None:
    """Make it run; print its address."""
    from isthmus.adapters import prefect_server
    from isthmus.cli import engine

    terminal.emit(prefect_server.ensure(engine.folder()).url)


@server.command()
def stop() -> None:
    """End it; nothing to do if it does not run."""
    from isthmus.adapters import prefect_server
    from isthmus.cli import engine

    ran = prefect_server.stop(engine.folder())
    terminal.emit("stopped" if ran else "was not running")


@server.command()
@options.as_json
def status(output: str) -> None:
    """Tell whether it runs, and where."""
    from isthmus.adapters import prefect_server
    from isthmus.cli import engine

    found = prefect_server.status(engine.folder())
    log = str(prefect_server.log(engine.folder()))
    if output == "json":
        fields = {"running": bool(found), "log": log}
        known = {"url": found.url, "pid": found.pid} if found else {"url": None, "pid": None}
        terminal.document("Server", {**fields, **known})
    elif found:
        terminal.emit(f"{found.url} (pid {found.pid}, log {log})")
    if not found:
        raise Findings("the Prefect server does not run", hint="start it: isthmus server start")
