"""How a story runs: every step starts as soon as what it needs is there, and none is forgotten."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from prefect import Task
from prefect.client.schemas.objects import State
from prefect.context import TagsContext
from prefect.futures import PrefectFuture

from isthmus import state
from isthmus.environment import Environment
from isthmus.errors import IsthmusError


class Steps:
    """The steps of one run; call it to start one."""

    def __init__(self) -> None:
        self._futures: list[PrefectFuture[Any]] = []

    def __call__(self, step: Task[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Start a step; futures among its arguments are what it waits for."""
        # A tag would have every step ask for a slot, which SQLite may refuse for seconds.
        with TagsContext(current_tags=set()):
            future = step.submit(*args, **kwargs)
        self._futures.append(future)
        return future

    def end(self) -> None:
        """Wait for every step; then raise what the first failed one raised."""
        for future in self._futures:
            future.wait()
        for future in self._futures:
            _raise_own(future.state)


@contextmanager
def steps_of(environment: Environment) -> Iterator[Steps]:
    """Hold the environment for one run, and see all steps that the block starts to their end.

    Raises Busy if another run holds it, and what the first failed step raised.
    """
    with state.alone(environment.name):
        steps = Steps()
        yield steps
        steps.end()


def _raise_own(found: State[Any]) -> None:
    # A step that never ran because another failed has nothing of its own to say.
    if found.is_failed() or found.is_crashed():
        error = found.result(raise_on_failure=False)
        if isinstance(error, IsthmusError):
            raise error
        found.result()
