"""The verbs that change or prove an environment: up, down, verify."""

import sys
import time
from typing import TYPE_CHECKING

import click

from isthmus import state
from isthmus.cli import checking, confirm, environments, options, terminal

if TYPE_CHECKING:
    from isthmus.cli.record import Run
    from isthmus.cli.run import Result
    from isthmus.environment import Environment
    from isthmus.verification import Verification


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
    environment = environments.find(env)
    begun = time.monotonic()
    if accept_checksum:
        environments.accept_checksums(environment)
    checking.check(environment, timeout)
    agreed = confirm.confirm_purchase(environment, env, yes)
    environments.remember(environment)
    if not wait:
        return _in_background("up", environment, timeout, output, agreed)
    from isthmus.cli import results, run

    result = run.run(run.Order("up", environment, env, timeout, begun, agreed))
    _report(result.run, steps)
    results.show(_verification(result), output)


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
    if environments.is_gone(env):
        return terminal.emit(f"{env}: gone already")
    environment = environments.find(env)
    if accept_checksum:
        environments.accept_checksums(environment)
    confirm.ready(environment)
    agreed = confirm.confirm_deletion(environment, env, yes)
    if not wait:
        return _in_background("down", environment, timeout, "text", agreed)
    from isthmus import built
    from isthmus.cli import run

    result = run.run(run.Order("down", environment, env, timeout, agreed=agreed))
    _report(result.run, steps=False)
    result.get()
    built.forget(environment.name)
    terminal.emit(f"{environment.name}: gone")


@click.command(short_help="Prove ENV by traffic from every region.")
@options.environment
@options.as_json
@options.timeout
@options.color
def verify(env: str, output: str, timeout: float | None) -> None:
    """Prove ENV by traffic: requests from every region, answered by every region."""
    environment = environments.find(env)
    environments.require_built(environment, env)
    from isthmus.cli import results, run

    result = run.run(run.Order("verify", environment, env, timeout))
    _report(result.run, steps=False)
    results.show(_verification(result), output)


def _verification(result: "Result") -> "Verification":
    """Return what the run found, were it that the mesh is not one; raises any other failure."""
    from isthmus.verification import Unproven

    if isinstance(result.failure, Unproven):
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
    process = processes.again([verb, name, *yes, *limit], log)
    if output == "json":
        fields = {"environment": name, "verb": verb, "pid": process.pid, "log": str(log)}
        terminal.document("Start", fields)
    else:
        terminal.emit(f"{name}: {verb} runs in the background, pid {process.pid}, log {log}")
    terminal.say(f"look: isthmus status {name}")


def _report(run: "Run", steps: bool) -> None:
    """Say on stderr how long it took and, if asked, what took how long."""
    from isthmus.cli import bars

    if steps:
        terminal.stderr().print(bars.chart(run, terminal.marks(sys.stderr)))
        terminal.say(bars.summary(run))
    terminal.say(f"{run.verb} {run.environment}: {run.end - run.start:.1f} s", "dim")
