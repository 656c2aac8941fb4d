"""The verbs that change or prove an environment: up, down, verify."""

import sys
import time
from typing import TYPE_CHECKING, Any

import click
from rich.table import Table
from rich.text import Text

from isthmus import state
from isthmus.cli import confirm, environment_argument, options, preflight, terminal

if TYPE_CHECKING:
    from isthmus.cli.run_flow import RunResult
    from isthmus.cli.run_history import RunRecord
    from isthmus.environment import Environment
    from isthmus.verification import Verification

VERIFIED = "verified: every region answers every other"


@click.command()
@options.environment
@options.as_json
@options.wait
@options.timeout
@options.color
@options.yes
@options.accept_checksum
@click.option("--steps", is_flag=True, help="Show at the end what took how long, and why.")
def up(
    env: str,
    output: str,
    wait: bool,
    timeout: float | None,
    yes: bool,
    accept_checksum: bool,
    steps: bool,
) -> None:
    """Build ENV, or what is missing of it, and prove it by traffic.

    ENV is an environment file, or the name of an environment already built. Safe to run again.
    """
    environment = environment_argument.find(env)
    begun = time.monotonic()
    if accept_checksum:
        environment_argument.accept_checksums(environment)
    preflight.check(environment, timeout)
    agreed = confirm.confirm_purchase(environment, env, yes)
    environment_argument.save(environment)
    if not wait:
        return _in_background("up", environment, timeout, output, agreed)
    from isthmus import providers
    from isthmus.cli import run_flow

    with providers.checked(environment):
        result = run_flow.run(run_flow.RunRequest("up", environment, env, timeout, begun, agreed))
    _report(result.run, steps)
    show(_verification(result), output)


@click.command()
@options.environment
@options.wait
@options.timeout
@options.yes
@options.color
@options.accept_checksum
def down(env: str, wait: bool, timeout: float | None, yes: bool, accept_checksum: bool) -> None:
    """Take ENV down and leave nothing of it.

    ENV is the name of an environment already built, or its file; also one that was half built.
    """
    if environment_argument.is_deleted(env):
        return terminal.print_result(f"{env}: already deleted")
    environment = environment_argument.find(env)
    if accept_checksum:
        environment_argument.accept_checksums(environment)
    confirm.read_cloud_credentials(environment)
    agreed = confirm.confirm_deletion(environment, env, yes)
    if not wait:
        return _in_background("down", environment, timeout, "text", agreed)
    from isthmus import environment_store
    from isthmus.cli import run_flow

    result = run_flow.run(run_flow.RunRequest("down", environment, env, timeout, confirmed=agreed))
    _report(result.run, steps=False)
    result.get()
    environment_store.delete(environment.name)
    terminal.print_result(f"{environment.name}: deleted")


@click.command(short_help="Prove ENV by traffic from every region.")
@options.environment
@options.as_json
@options.timeout
@options.color
@options.services
@click.option(
    "--control",
    is_flag=True,
    help="Lab only: close a gateway's port, which must be seen with its cause, and open it again.",
)
def verify(
    env: str,
    output: str,
    timeout: float | None,
    services: tuple[dict[str, Any], ...],
    control: bool,
) -> None:
    """Prove ENV by traffic: requests from every region, answered by every region.

    The sample always, and services of your own: those of verification.services in its file, and of
    --service.
    """
    environment = environment_argument.with_services(environment_argument.find(env), services)
    environment_argument.require_built(environment, env)
    from isthmus.cli import negative_control, run_flow

    def verified() -> "Verification":
        result = run_flow.run(run_flow.RunRequest("verify", environment, env, timeout))
        _report(result.run, steps=False)
        return _verification(result)

    if control:
        negative_control.require_lab(environment)
        return negative_control.run(environment, verified, output)
    show(verified(), output)


def _verification(result: "RunResult") -> "Verification":
    """Return what the run found, were it that the mesh is not one; raises any other failure."""
    from isthmus.verification import VerificationFailed

    if isinstance(result.failure, VerificationFailed):
        return result.failure.verification
    verification: Verification = result.get()
    return verification


def _in_background(
    verb: str, environment: "Environment", timeout: float | None, output: str, agreed: bool
) -> None:
    from isthmus.adapters import processes

    name = environment.name
    log = state.home() / "logs" / f"{verb}-{name}.log"
    limit = [f"--timeout={timeout:.0f}s"] if timeout else []
    yes = ["--yes"] if agreed else []
    process = processes.start_cli([verb, name, *yes, *limit], log)
    if output == "json":
        fields = {"environment": name, "verb": verb, "pid": process.pid, "log": str(log)}
        terminal.document("Start", fields)
    else:
        terminal.print_result(
            f"{name}: {verb} runs in the background, pid {process.pid}, log {log}"
        )
    terminal.print_message(f"look: isthmus status {name}")


def _report(run: "RunRecord", steps: bool) -> None:
    """Say on stderr how long it took and, if asked, what took how long."""
    from isthmus.cli import bar_chart

    if steps:
        terminal.stderr().print(bar_chart.chart(run, terminal.marks(sys.stderr)))
        terminal.print_message(bar_chart.summary(run))
    terminal.print_message(f"{run.verb} {run.environment}: {run.end - run.start:.1f} s", "dim")


def show(verification: "Verification", output: str) -> None:
    """Print the verification on stdout; raises Findings if its verdict is `fail`."""
    from isthmus.verification import service_rows, table

    passed = verification.verdict == "pass"
    if output == "json":
        terminal.document("Verification", verification.document())
        if passed:
            terminal.print_message(VERIFIED, "green")
    else:
        headline = Text(VERIFIED, "green") if passed else Text("not verified", "red")
        terminal.show(headline, _table(table(verification)))
        if verification.services:
            terminal.show(_table(service_rows(verification)))
        for note in verification.notes:
            terminal.print_message(note)
    verification.raise_for_findings()


def _table(rows: list[dict[str, str]]) -> Table:
    headings = list(dict.fromkeys(heading for row in rows for heading in row))
    shown = Table(*headings, box=None, pad_edge=False)
    for row in rows:
        shown.add_row(*(row.get(heading, "") for heading in headings))
    return shown
