"""How a story ends: what is told of a failure, what is kept for a retry, what a skipped run is."""

import functools
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from prefect import Flow
from prefect.client.schemas.objects import FlowRun, State
from prefect.events import emit_event
from prefect.logging import get_run_logger
from prefect.states import Cancelled, Failed

from flows.environment_lock import CancelledWhileWaiting, Skipped
from isthmus.errors import IsthmusError
from isthmus.reporting import redact, single_line
from tasks import policies
from tasks.run_tracker import run_url

P = ParamSpec("P")
R = TypeVar("R")
FAILED_EVENT = "isthmus.run.failed"
"""The event that automations wait for."""


def emit_failure_event(flow: Flow[..., Any], run: FlowRun, state: State[Any]) -> None:
    """Tell automations of a failure in words that need no look into the run; no parameter values.

    The event's payload: environment, step, cluster, reason, link.
    """
    error = state.result(raise_on_failure=False)
    own = error if isinstance(error, IsthmusError) else None
    emit_event(
        FAILED_EVENT,
        resource={
            "prefect.resource.id": f"prefect.flow-run.{run.id}",
            "prefect.resource.name": run.name,
        },
        payload={
            "environment": _environment(run),
            "step": (own and own.step) or flow.name,
            "cluster": (own and own.cluster) or "",
            "reason": redact(own.message if own else state.message or type(error).__name__),
            "link": run_url(run),
        },
    )


def delete_cached_results(flow: Flow[..., Any], run: FlowRun, state: State[Any]) -> None:
    """Leave nothing behind that only a retry would need."""
    policies.delete_results(str(run.id))


FLOW_OPTIONS: dict[str, Any] = {
    "on_failure": [emit_failure_event],
    "on_completion": [delete_cached_results],
}
"""What every story is told with."""


def return_final_state(story: Callable[P, R]) -> Callable[P, R | State[Any]]:
    """Make a run end in words of ours, and one that was told not to wait for its turn as skipped.

    What a story raises, Prefect logs as a traceback; a state with the error in it is as red, and
    whoever called the story gets that error raised all the same. A bug keeps its traceback.
    """

    @functools.wraps(story)
    def told(*args: P.args, **kwargs: P.kwargs) -> R | State[Any]:
        try:
            return story(*args, **kwargs)
        except Skipped as error:
            return Cancelled(name="Skipped", message=error.message)
        except CancelledWhileWaiting as error:
            return Cancelled(message=error.message)
        except IsthmusError as error:
            get_run_logger().error("%s", redact(str(error)))
            return Failed(message=single_line(str(error)), data=error)

    return told


def _environment(run: FlowRun) -> str:
    """Return the environment's name, with which the name of every run ends that has begun."""
    kind, _, name = (run.name or "").partition(" ")
    given = (run.parameters or {}).get("environment")
    return name or str(given.get("name", "") if isinstance(given, dict) else given or "") or kind
