"""Looking before anything is changed: how `up` begins, and the verb that does it alone."""

import threading
from contextlib import nullcontext
from typing import TYPE_CHECKING

import click

from isthmus import events, file_lock, polling, state
from isthmus.cli import confirm, environment_argument, interruptible, options, terminal
from isthmus.errors import IsthmusError
from isthmus.events import Event

if TYPE_CHECKING:
    from isthmus.environment import Environment

PROBE_CLEANUP_SECONDS = 5.0
"""Seconds in which a check that is interrupted takes its probes away."""
STEP = Event("started", "check", "check")


@click.command(short_help="See whether ENV can be built; nothing of it is changed.")
@options.environment
@options.as_json
@options.timeout
@options.color
def preflight(env: str, output: str, timeout: float | None) -> None:
    """See whether ENV can be built where it is to be: the first thing that `up` does.

    Clusters that exist are asked, and probed by pods and a load balancer that are removed again.
    """
    environment = environment_argument.find(env)
    failure: IsthmusError | None = None
    try:
        check(environment, timeout)
    except interruptible.Abandoned:
        raise
    except IsthmusError as error:
        failure = error
    if output == "json":
        terminal.document("Preflight", _document(environment, failure))
    elif not failure:
        terminal.print_result(f"{environment.name}: can be built")
    if failure:
        raise failure


def check(environment: "Environment", timeout: float | None) -> None:
    """Raise all that stands against the environment, before anything of it is changed.

    Raises Busy while a run is at work on it. What was probed is gone, also after an interrupt.
    """
    confirm.read_cloud_credentials(environment)
    ended = threading.Event()

    def work() -> None:
        try:
            _check(environment)
        finally:
            ended.set()

    from isthmus.cli import run_flow

    with run_flow.view() as view, events.subscribe(view), polling.stoppable():
        try:
            interruptible.run(work, timeout)
        except interruptible.Abandoned:
            polling.stop()
            ended.wait(PROBE_CLEANUP_SECONDS)
            raise


def _check(environment: "Environment") -> None:
    from isthmus import binaries, environment_store, providers

    events.publish(STEP)
    # Where nothing was ever written no run can be at work, and nothing is to be written yet.
    held = file_lock.acquire(environment.name) if state.home().exists() else nullcontext()
    try:
        with held, events.in_step(STEP), polling.use_timeouts(environment.timeouts):
            environment_store.check_immutable_fields(environment)
            binaries.check(environment)
            providers.check(environment)
    except Exception as error:
        events.publish(Event("failed", STEP.step, STEP.name, text=str(error)))
        raise
    events.publish(Event("done", STEP.step, STEP.name))


def _document(environment: "Environment", failure: IsthmusError | None) -> dict[str, object]:
    parts = (failure.causes or (failure,)) if failure else ()
    return {
        "environment": environment.name,
        "verdict": "fail" if failure else "pass",
        "refusals": [
            {"cluster": part.cluster, "kind": type(part).__name__, "text": part.message,
             "do": part.hint}
            for part in parts
        ],
    }  # fmt: skip
