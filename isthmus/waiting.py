"""The only waiting loop in the project."""

import time
from collections.abc import Callable
from typing import TypeVar

from isthmus.errors import NotReady, TransientError

T = TypeVar("T")


def until(
    probe: Callable[[], T | None],
    what: str,
    *,
    timeout: float,
    interval: float = 0.2,
    cluster: str | None = None,
    seen: Callable[[], str] | None = None,
    error: type[TransientError] = NotReady,
) -> T:
    """Return the first value of `probe` that is not None; ask every `interval` seconds.

    Raises `error` after `timeout` seconds, with what `seen` last observed.
    """
    deadline = time.monotonic() + timeout
    while (found := probe()) is None:
        if time.monotonic() + interval > deadline:
            last = f"; last seen: {seen()}" if seen else ""
            raise error(f"{what}: not there after {timeout:g} s{last}", cluster=cluster)
        time.sleep(interval)
    return found
