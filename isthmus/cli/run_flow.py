"""One flow, run in this process: watched, recorded, and given up on a signal or a deadline."""

import importlib
import secrets
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from isthmus import events, polling
from isthmus.adapters import processes
from isthmus.cli import interruptible, prefect_client, prefect_setup, run_history, terminal
from isthmus.cli.live_tree import LiveTree
from isthmus.cli.plain_log import PlainLog
from isthmus.cli.run_history import RunRecord
from isthmus.errors import Unprepared
from isthmus.timeline import Step, StepRecorder

if TYPE_CHECKING:
    from isthmus.environment import Environment

FLOWS = {
    "up": ("flows.build", "build"),
    "down": ("flows.teardown", "teardown"),
    "verify": ("flows.verify", "verify"),
}
CONFIRM_PARAMETERS = {"up": "buy", "down": "anothers"}
"""By which parameter a flow learns that a person said yes."""


@dataclass(frozen=True)
class RunRequest:
    """What a person asked for."""

    verb: str
    environment: "Environment"
    argument: str
    """The environment as they typed it: a file or a name."""
    timeout: float | None
    """Seconds for the whole command."""
    start_time: float | None = None
    """When the command began, by the monotonic clock, if more than the run counts."""
    confirmed: bool = False
    """Whether a person has said yes to what it costs, or whose mesh it ends."""

    @property
    def resume_command(self) -> str:
        """What to type to go on."""
        return f"isthmus {self.verb} {self.argument}"


@dataclass
class RunResult:
    """What became of it: the flow's value, or its failure; and the record of its steps."""

    run: RunRecord
    value: Any = None
    failure: BaseException | None = None

    def get(self) -> Any:
        """Return the flow's value, or raise its failure."""
        if self.failure:
            raise self.failure
        return self.value


def run(order: RunRequest) -> RunResult:
    """Run the verb's flow to its end, or to the deadline, or to a signal; the run is recorded."""
    steps, start = StepRecorder(), time.time()
    # The run's name tells verb and environment: a tag is all that its page cuts off.
    tag = f"cli-{secrets.token_hex(4)}"
    value: Any = None
    failure: BaseException | None = None
    with events.subscribe(steps), view() as shown, events.subscribe(shown):
        try:
            value = interruptible.run(lambda: _call(order, tag), order.timeout, order.start_time)
        except interruptible.Abandoned as error:
            failure = _explained(error, steps.running(), order.resume_command)
        except Exception as error:
            failure = _translated(error)
    finished = _recorded(order, start, steps, failure)
    if isinstance(failure, interruptible.Abandoned):
        _cancel_run(tag, failure.message)
    return RunResult(finished, value, failure)


def view() -> LiveTree | PlainLog:
    """Return what shows a run as it goes: on a terminal a tree, else lines."""
    console, stream = terminal.stderr(), sys.stderr
    return (
        LiveTree(console, terminal.marks(stream)) if terminal.is_live(stream) else PlainLog(console)
    )


def _call(order: RunRequest, tag: str) -> Any:
    with polling.use_timeouts(order.environment.timeouts), prefect_setup.server_context(tag):
        module, name = FLOWS[order.verb]
        flow = getattr(importlib.import_module(module), name)
        agreed = {CONFIRM_PARAMETERS[order.verb]: True} if order.confirmed else {}
        return flow(order.environment, if_busy="refuse", **agreed)


def _explained(
    error: interruptible.Abandoned, running: Sequence[Step], again: str
) -> interruptible.Abandoned:
    now = time.time()
    steps = ", ".join(f"{step.label} {step.seconds(now):.0f} s" for step in running)
    message = f"{error.message}; still running: {steps}" if steps else error.message
    return type(error)(message, hint=f"to resume, run again: {again}")


def _translated(error: Exception) -> Exception:
    """Return a failure of Prefect's server, which is none of ours, as one of ours."""
    lost = type(error).__module__.split(".")[0] in ("httpx", "httpcore")
    if lost or "Failed to reach API" in str(error):
        message = f"the Prefect server stopped answering: {error or type(error).__name__}"
        return Unprepared(message, step="Prefect server", hint="look: isthmus server status")
    return error


def _recorded(
    order: RunRequest, start: float, steps: StepRecorder, failure: BaseException | None
) -> RunRecord:
    outcome = next(iter(str(failure).splitlines()), type(failure).__name__) if failure else "done"
    name, taken = order.environment.name, tuple(steps.steps())
    finished = RunRecord(name, order.verb, start, time.time(), outcome, taken)
    with suppress(OSError):  # it only shows where time went
        run_history.write(finished)
    return finished


def _cancel_run(tag: str, why: str) -> None:
    prefect_client.cancel(tag, why)
    processes.terminate_children()
