"""The only waiting loop in the project, and how all that wait are told to stop."""

import threading
import time
from collections.abc import Callable
from typing import TypeVar

from isthmus.errors import NotReady, Stopped, TransientError

T = TypeVar("T")
_stopped = threading.Event()


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

    Raises `error` after `timeout` seconds, with what `seen` last observed, and Stopped as soon as
    this process is told to stop.
    """
    deadline = time.monotonic() + timeout
    while (found := probe()) is None:
        if time.monotonic() + interval > deadline:
            last = f"; last seen: {seen()}" if seen else ""
            raise error(f"{what}: not there after {timeout:g} s{last}", cluster=cluster)
        _stopped.wait(interval)
        go_on()
    return found


def stop() -> None:
    """Make everything that waits in this process, now and later, raise Stopped."""
    _stopped.set()


def go_on() -> None:
    """Raise Stopped if this process was told to stop."""
    if _stopped.is_set():
        raise Stopped("the run was asked to end")
