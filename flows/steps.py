"""How a story runs: every step starts as soon as what it needs is there, and none is forgotten."""

from typing import Any

from prefect import Task
from prefect.client.schemas.objects import State
from prefect.context import TagsContext
from prefect.futures import PrefectFuture

from isthmus.errors import IsthmusError


class Steps:
    """The steps of one run; call it to start one, end it to see them all through."""

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


def _raise_own(state: State[Any]) -> None:
    # A step that never ran because another failed has nothing of its own to say.
    if state.is_failed() or state.is_crashed():
        error = state.result(raise_on_failure=False)
        if isinstance(error, IsthmusError):
            raise error
        state.result()
