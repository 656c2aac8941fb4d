"""How steps retry, what they remember and whom they tell: decided once."""

import functools
import hashlib
import shutil
from collections.abc import Callable
from typing import Any, Literal, ParamSpec, TypeVar, cast

from prefect import Task, task
from prefect.cache_policies import NO_CACHE, CacheKeyFnPolicy
from prefect.client.schemas.objects import State, TaskRun
from prefect.context import TaskRunContext
from prefect.runtime import flow_run
from prefect.settings import get_current_settings
from prefect.states import Failed
from prefect.tasks import exponential_backoff
from pydantic_core import to_json

from isthmus import events, polling
from isthmus.errors import IsthmusError, TransientError
from isthmus.events import Event
from isthmus.reporting import redact

P = ParamSpec("P")
R = TypeVar("R")

RETRIES = 4


def is_transient(task: Task[..., Any], run: TaskRun, state: State[Any]) -> bool:
    """Retry what an adapter called transient; a bug, a 403, a limit that ran out is final."""
    return _is_retried(state.result(raise_on_failure=False), run)


def _is_retried(error: object, run: TaskRun) -> bool:
    """Tell whether a step is tried again that ended so."""
    passing = isinstance(error, TransientError) and not error.timed_out
    return passing and not polling.is_out_of_time() and run.run_count <= RETRIES


TASK_OPTIONS: dict[str, Any] = {
    # One more than there are, as Prefect logs a traceback of the failure that exhausts them.
    "retries": RETRIES + 1,
    "retry_delay_seconds": exponential_backoff(backoff_factor=1),
    "retry_jitter_factor": 0.3,
    "retry_condition_fn": is_transient,
    # What is true lives in the clusters: a step looks, it does not remember.
    "cache_policy": NO_CACHE,
    "persist_result": False,
    "log_prints": False,
}


def _run_cache_key(context: TaskRunContext, parameters: dict[str, Any]) -> str:
    given = hashlib.sha256(to_json(parameters, fallback=str)).hexdigest()
    # The class is in it, too: what an older release kept would be no object of ours.
    made = repr(context.task.fn.__annotations__.get("return"))
    kept = hashlib.sha256(f"{made}{given}".encode()).hexdigest()
    return f"{flow_run.root_flow_run_id}/{context.task.name}/{kept}"


CACHE_OPTIONS: dict[str, Any] = {
    # Accesses are among the parameters: for a cluster that was rebuilt nothing was done yet.
    "cache_policy": CacheKeyFnPolicy(cache_key_fn=_run_cache_key),
    "persist_result": True,
    "result_serializer": "json",
}
"""What makes a step that has ended well not be repeated when its run is retried."""
CacheMode = Literal["none", "anew", "kept"]
"""What a run keeps of its ended steps: nothing; all, from now on; all, and believes what it has."""


def with_cache(step: Task[P, R], memory: CacheMode) -> Task[P, R]:
    """Return the step as a run with this memory uses it; one that only looks is never kept."""
    if memory == "none" or getattr(step.fn, "looks", False):
        return step
    return step.with_options(**CACHE_OPTIONS, refresh_cache=memory == "anew")


def delete_results(run: str) -> None:
    """Leave nothing of what a run kept of its steps."""
    shutil.rmtree(get_current_settings().results.local_storage_path / run, ignore_errors=True)


def step(
    name: str, of: str | None = None, *, looks: bool = False, **options: Any
) -> Callable[[Callable[P, R]], Task[P, R]]:
    """Make a function a task that tells progress as `name`; parameter `of` has the cluster.

    One that only `looks` is never remembered. `options` replace those of TASK_OPTIONS. One whose
    result has a `first_finding` ends as failed in Prefect, with its result, and is not tried again.
    """

    def decorate(function: Callable[P, R]) -> Task[P, R]:
        @functools.wraps(function)
        def told(*args: P.args, **kwargs: P.kwargs) -> R:
            values = dict(zip(function.__code__.co_varnames, args, strict=False)) | kwargs
            cluster = _cluster(values.get(of or ""))
            return _failed_if_wrong(
                _run_with_events(name, cluster, lambda: function(*args, **kwargs))
            )

        told.looks = looks  # type: ignore[attr-defined]  # a task has no place of its own for it
        return task(
            told, **{**TASK_OPTIONS, "name": name, "task_run_name": _naming(name, of), **options}
        )

    return decorate


def _failed_if_wrong(result: R) -> R:
    """Return the result, as a state that is red in Prefect's pages if it says what is wrong."""
    if not (wrong := getattr(result, "first_finding", "")):
        return result
    return cast(R, Failed(message=redact(wrong), data=result))


def _naming(name: str, of: str | None) -> Callable[..., str]:
    def run_name(parameters: dict[str, Any]) -> str:
        cluster = _cluster(parameters.get(of or ""))
        return f"{name} {cluster}" if cluster else name

    return run_name


def _cluster(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return str(getattr(value, "cluster", None) or getattr(value, "name", value))


def _run_with_events(name: str, cluster: str | None, body: Callable[[], R]) -> R:
    run = TaskRunContext.get()
    identity = str(run.task_run.id) if run else name
    started = Event("started", identity, name, cluster, after=_parents(run))
    events.publish(started)
    polling.raise_if_stopped()
    with events.in_step(started):
        try:
            result = body()
        except IsthmusError as error:
            # What an adapter was told may have held a secret; from here on it is told to others.
            error.message, error.hint = redact(error.message), redact(error.hint)
            error.cluster = error.cluster or cluster
            error.step = error.step or name
            again = run and _is_retried(error, run.task_run)
            events.publish(
                Event("retrying" if again else "failed", identity, name, cluster, str(error))
            )
            raise
        except BaseException as error:
            text = f"{type(error).__name__}: {error}"
            events.publish(Event("failed", identity, name, cluster, text))
            raise
    events.publish(Event("done", identity, name, cluster, str(getattr(result, "found", ""))))
    return result


def _parents(run: TaskRunContext | None) -> tuple[str, ...]:
    if run is None:
        return ()
    inputs = run.task_run.task_inputs.values()
    return tuple(str(i.id) for given in inputs for i in given if hasattr(i, "id"))
