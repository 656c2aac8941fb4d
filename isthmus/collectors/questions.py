"""Asking many things at once; what fails is kept as evidence and stops nothing else."""

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from isthmus import polling
from isthmus.environment import Timeouts
from isthmus.errors import IsthmusError

OUT_OF_TIME = "not asked: the time for it was over"
T = TypeVar("T")
G = TypeVar("G")

PARALLEL = 6
"""Questions to one cluster at a time."""
CONNECT, REQUEST, EXEC, RETRY = 3.0, 5.0, 8.0, 1.0
"""Seconds: a mesh that is looked at is asked quickly, and a slow answer is a finding."""


def limits(timeouts: Timeouts) -> Timeouts:
    """Return an environment's limits as a look has them: none longer than said above."""
    return timeouts.model_copy(
        update={
            "connect": min(timeouts.connect, CONNECT),
            "request": min(timeouts.request, REQUEST),
            "exec": min(timeouts.exec, EXEC),
            "retry": min(timeouts.retry, RETRY),
        }
    )


def ask(
    questions: Mapping[str, Callable[[], T]], parallel: int = PARALLEL
) -> tuple[dict[str, T], dict[str, str]]:
    """Return the answers, and of questions that failed what came back instead, by their names."""
    answers: dict[str, T] = {}
    errors: dict[str, str] = {}

    def one(name: str) -> None:
        if polling.is_out_of_time():
            errors[name] = OUT_OF_TIME
            return
        try:
            answers[name] = questions[name]()
        except IsthmusError as error:
            polling.raise_if_stopped()
            errors[name] = error.message
        except Exception as error:  # what a cluster answers may have any shape
            polling.raise_if_stopped()
            errors[name] = f"{type(error).__name__}: {error}"

    if questions:
        in_parallel(one, questions, parallel)
    return answers, errors


def in_parallel(
    function: Callable[[G], T], items: Iterable[G], parallel: int = PARALLEL
) -> list[T]:
    """Return what a function makes of each item, in order; each within the limits of here."""
    given = list(items)

    def one(item: G) -> T:
        polling.raise_if_stopped()
        return function(item)

    with ThreadPoolExecutor(max(1, min(parallel, len(given)))) as pool:
        return list(pool.map(polling.in_current_context(one), given))
