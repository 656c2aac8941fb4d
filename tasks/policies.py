"""How steps retry, what they remember and whom they tell: decided once."""

import functools
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from prefect import Task, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.context import TaskRunContext
from prefect.tasks import exponential_backoff

from isthmus import progress
from isthmus.errors import IsthmusError, TransientError
from isthmus.progress import Event

P = ParamSpec("P")
R = TypeVar("R")

RETRIES = 3


def is_transient(task: Task[..., Any], run: TaskRun, state: State[Any]) -> bool:
    """Retry only what an adapter called transient; a bug or a 403 fails at once."""
    return isinstance(state.result(raise_on_failure=False), TransientError)


STEP: dict[str, Any] = {
    "retries": RETRIES,
    "retry_delay_seconds": exponential_backoff(backoff_factor=1),
    "retry_jitter_factor": 0.3,
    "retry_condition_fn": is_transient,
    # What is true lives in the clusters: a step looks, it does not remember.
    "cache_policy": NO_CACHE,
    "persist_result": False,
    "log_prints": False,
}


def step(
    name: str, of: str | None = None, **options: Any
) -> Callable[[Callable[P, R]], Task[P, R]]:
    """Make a function a task that tells progress as `name`; parameter `of` has the cluster.

    `options` replace those of STEP.
    """

    def decorate(function: Callable[P, R]) -> Task[P, R]:
        @functools.wraps(function)
        def told(*args: P.args, **kwargs: P.kwargs) -> R:
            values = dict(zip(function.__code__.co_varnames, args, strict=False)) | kwargs
            return _telling(name, _cluster(values.get(of or "")), lambda: function(*args, **kwargs))

        return task(told, **{**STEP, "name": name, "task_run_name": _naming(name, of), **options})

    return decorate


def _naming(name: str, of: str | None) -> Callable[..., str]:
    def run_name(parameters: dict[str, Any]) -> str:
        cluster = _cluster(parameters.get(of or ""))
        return f"{name} {cluster}" if cluster else name

    return run_name


def _cluster(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return str(getattr(value, "cluster", None) or getattr(value, "name", value))


def _telling(name: str, cluster: str | None, body: Callable[[], R]) -> R:
    run = TaskRunContext.get()
    identity = str(run.task_run.id) if run else name
    started = Event("started", identity, name, cluster, after=_parents(run))
    progress.publish(started)
    with progress.inside(started):
        try:
            result = body()
        except IsthmusError as error:
            error.cluster = error.cluster or cluster
            error.step = error.step or name
            again = isinstance(error, TransientError) and run and run.task_run.run_count <= RETRIES
            progress.publish(
                Event("retrying" if again else "failed", identity, name, cluster, str(error))
            )
            raise
        except BaseException as error:
            text = f"{type(error).__name__}: {error}"
            progress.publish(Event("failed", identity, name, cluster, text))
            raise
    progress.publish(Event("done", identity, name, cluster, str(getattr(result, "found", ""))))
    return result


def _parents(run: TaskRunContext | None) -> tuple[str, ...]:
    if run is None:
        return ()
    inputs = run.task_run.task_inputs.values()
    return tuple(str(i.id) for given in inputs for i in given if hasattr(i, "id"))
