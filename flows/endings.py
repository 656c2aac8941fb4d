"""How a story ends: what is told of a failure, what is kept for a retry, what a skipped run is."""

import functools
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from prefect import Flow
from prefect.client.schemas.objects import FlowRun, State
from prefect.events import emit_event
from prefect.states import Cancelled

from flows.turns import CalledOff, Skipped
from isthmus.errors import IsthmusError
from isthmus.reporting import scrub
from tasks import policies
from tasks.telling import link_to

P = ParamSpec("P")
R = TypeVar("R")
FAILED = "isthmus.run.failed"
"""The event that automations wait for."""


def announce(flow: Flow[..., Any], run: FlowRun, state: State[Any]) -> None:
    """Tell automations of a failure in words that need no look into the run; no parameter values.

    The event's payload: environment, step, cluster, reason, link.
    """
    error = state.result(raise_on_failure=False)
    own = error if isinstance(error, IsthmusError) else None
    emit_event(
        FAILED,
        resource={
            "prefect.resource.id": f"prefect.flow-run.{run.id}",
            "prefect.resource.name": run.name,
        },
        payload={
            "environment": _environment(run),
            "step": (own and own.step) or flow.name,
            "cluster": (own and own.cluster) or "",
            "reason": scrub(own.message if own else state.message or type(error).__name__),
            "link": link_to(run),
        },
    )


def tidy(flow: Flow[..., Any], run: FlowRun, state: State[Any]) -> None:
    """Leave nothing behind that only a retry would need."""
    policies.forget(str(run.id))


STORY: dict[str, Any] = {"on_failure": [announce], "on_completion": [tidy]}
"""What every story is told with."""


def skippable(story: Callable[P, R]) -> Callable[P, R | State[Any]]:
    """Make a run that was told not to wait for its turn end as skipped, not as failed."""

    @functools.wraps(story)
    def told(*args: P.args, **kwargs: P.kwargs) -> R | State[Any]:
        try:
            return story(*args, **kwargs)
        except Skipped as error:
            return Cancelled(name="Skipped", message=error.message)
        except CalledOff as error:
            return Cancelled(message=error.message)

    return told


def _environment(run: FlowRun) -> str:
    """Return the environment's name, with which the name of every run ends that has begun."""
    kind, _, name = (run.name or "").partition(" ")
    given = (run.parameters or {}).get("environment")
    return name or str(given.get("name", "") if isinstance(given, dict) else given or "") or kind
