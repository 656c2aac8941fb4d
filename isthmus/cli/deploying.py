"""The verb that puts deployments on the Prefect server: deploy."""

import importlib
import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.table import Table

from isthmus.cli import options, prefect_setup, terminal
from isthmus.errors import IsthmusError, Rejected, Unprepared

if TYPE_CHECKING:
    from isthmus.prefect_deploy.changes import Change

DEFAULT = "deployments/prefect.yaml"


@click.command(short_help="Put schedules, run forms and automations on the Prefect server.")
@click.argument("file", default=DEFAULT, type=click.Path(path_type=Path))
@options.as_json
@click.option(
    "--webhook-file", metavar="FILE",
    help="Read the webhook URL for failures from FILE (readable by you only), or - for stdin.",
)  # fmt: skip
@click.option("--work-pool", metavar="NAME", help="Let this pool run it, not those FILE names.")
@click.option(
    "--job-template", metavar="FILE", type=click.Path(path_type=Path),
    help="Of that pool, if runs are pods of a cluster.",
)  # fmt: skip
@click.option("--prune", is_flag=True, help="Delete deployments that are no longer in FILE.")
def deploy(
    file: Path,
    output: str,
    webhook_file: str | None,
    work_pool: str | None,
    job_template: Path | None,
    prune: bool,
) -> None:
    """Make the Prefect server hold the deployments of FILE, deployments/prefect.yaml by default.

    Work pool, a limit for each environment, deployments, schedules and automations: what is there
    already is only looked at. Those of other files are left alone.
    """
    _check_readable(file)
    # Whole, as the run stands in another folder from here on.
    hook = os.path.abspath(webhook_file) if webhook_file not in (None, "-") else webhook_file
    places = (file.absolute(), hook, work_pool, job_template and job_template.absolute())
    prefect_setup.connect()
    orders = importlib.import_module("isthmus.prefect_deploy.deploy")
    order = orders.DeployRequest(*places, prune)
    changes: list[Change] = []
    try:
        changes += orders.deploy(order)
    except IsthmusError:
        raise
    except Exception as error:
        raise _translated(error) from error
    _show(file, changes, output)


def _check_readable(file: Path) -> None:
    """Raise BadEnvironment for a file that cannot be read, before a server is started for it."""
    from isthmus.environment import source
    from isthmus.environment.diagnostics import UnreadableFile, file_error

    try:
        source.read(file)
    except UnreadableFile as error:
        raise file_error(file, [error.problem], again="isthmus deploy") from None


def _show(file: Path, changes: "list[Change]", output: str) -> None:
    if output == "json":
        found = [asdict(change) for change in changes]
        return terminal.document("Deployment", {"file": str(file), "changes": found})
    table = Table(box=None, pad_edge=False, show_header=False)
    for change in changes:
        text = f"{change.done}: {change.text}" if change.text else change.done
        table.add_row(change.kind, change.name, text)
    terminal.show(table)
    terminal.print_message(f"pages: {_pages()}")


def _pages() -> str:
    # The second generation of its pages; without /v2 a link leads to the first, which draws less.
    own = f"{os.environ['PREFECT_API_URL'].rstrip('/').removesuffix('/api')}/v2"
    return f"{os.environ.get('PREFECT_UI_URL', own).rstrip('/')}/deployments"


def _translated(error: Exception) -> IsthmusError | Exception:
    """Return what Prefect's client raised in words for a person."""
    if (response := getattr(error, "response", None)) is not None:
        answer = f"HTTP {response.status_code} {response.text[:500]}"
        hint = "is the password right?" if response.status_code == 401 else ""
        return Rejected(f"the Prefect server refused: {answer}", step="deploy", hint=hint)
    if type(error).__module__.split(".")[0] in ("httpx", "httpcore") or "reach API" in str(error):
        message = f"the Prefect server stopped answering: {error or type(error).__name__}"
        hint = "look: isthmus server status; then deploy again"
        return Unprepared(message, step="deploy", hint=hint)
    return error
