"""The verbs about the local Prefect server and its worker: server start, stop, status."""

from typing import Any

import click

from isthmus.cli import options, terminal
from isthmus.errors import Findings


@click.group(short_help="Start, stop or find the local Prefect server and its worker.")
def server() -> None:
    """The local Prefect server, which records and shows runs; `up` starts it by itself.

    The worker takes the runs that are scheduled, or started on the server's pages.
    """


@server.command()
@click.option("--host", metavar="ADDRESS", help="Address to listen on.  [first: 127.0.0.1]")
@click.option(
    "--port", type=click.IntRange(1, 65535), help="Port to listen on.  [first: 4200 or next free]"
)
@click.option(
    "--limit", type=click.IntRange(1), help="Runs at once.  [first: one a core, at least 2]"
)
def start(host: str | None, port: int | None, limit: int | None) -> None:
    """Make server and worker run; print the address.

    An option that is left out keeps its last value. ISTHMUS_DATABASE_URL names a PostgreSQL.
    """
    from isthmus.adapters import prefect_server, prefect_settings
    from isthmus.cli import prefect_setup

    home = prefect_setup.folder()
    wanted = prefect_settings.options(home).changed(host=host, port=port, limit=limit)
    terminal.print_result(prefect_server.start(home, wanted).url)
    terminal.print_message(
        f"user and password for its UI are in {prefect_settings.auth_file(home)}"
    )


@server.command()
@click.option("--now", is_flag=True, help="Also if runs are at work: end them.")
def stop(now: bool) -> None:
    """End both; nothing to do if they do not run."""
    from isthmus.adapters import prefect_server
    from isthmus.cli import prefect_setup

    ran = prefect_server.stop(prefect_setup.folder(), now)
    terminal.print_result("stopped" if ran else "was not running")


@server.command()
@options.as_json
def status(output: str) -> None:
    """Tell whether they run, and where."""
    fields = _status()
    if output == "json":
        terminal.document("Server", fields)
    elif fields["running"]:
        terminal.print_result(_status_text(fields))
    if not fields["running"]:
        raise Findings("the Prefect server does not run", hint="start it: isthmus server start")


def _status() -> dict[str, Any]:
    from isthmus.adapters import prefect_api, prefect_database, prefect_server, prefect_settings
    from isthmus.cli import prefect_setup

    home = prefect_setup.folder()
    found, worker = prefect_server.status(home), prefect_server.worker(home)
    api = found and prefect_api.own_server_api(found.api, prefect_settings.auth(home))
    return {
        "running": bool(found),
        "url": found.url if found else None,
        "pid": found.pid if found else None,
        "log": str(prefect_server.log(home)),
        "database": prefect_database.kind(home),
        "auth": str(prefect_settings.auth_file(home)),
        "environment": str(prefect_settings.shell_file(home)),
        "worker": {
            "running": bool(worker),
            "pid": worker,
            "log": str(prefect_server.log(home, "worker")),
            "pool": prefect_settings.WORK_POOL,
            "limit": prefect_settings.options(home).limit,
            "paused": prefect_api.list_paused(api, prefect_settings.WORK_POOL) if api else [],
        },
    }


def _status_text(fields: dict[str, Any]) -> str:
    worker = "no worker; start it: isthmus server start"
    if (known := fields["worker"])["running"]:
        what = f"pool {known['pool']}, limit {known['limit']}, log {known['log']}"
        worker = f"worker: pid {known['pid']}, {what}"
    return "\n".join(
        [
            f"{fields['url']} (pid {fields['pid']}, {fields['database']}, log {fields['log']})",
            worker,
            *(f"{what} is paused, none of its runs starts" for what in known["paused"]),
            f"user and password for its UI are in {fields['auth']}",
            f"for Prefect's own command line: . {fields['environment']}",
        ]
    )
