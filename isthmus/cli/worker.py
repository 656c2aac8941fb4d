"""One run in a thread of its own, so that this one can always answer: to a signal, to a deadline.

A thread that waits for a cluster cannot be stopped: whoever catches Abandoned ends the process.
"""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from contextlib import contextmanager
from types import FrameType
from typing import Any, TypeVar

from isthmus.errors import IsthmusError

T = TypeVar("T")
INTERRUPTED = 130
"""Exit code after Ctrl-C or SIGTERM."""
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Abandoned(IsthmusError):
    """The run was given up while its threads still work; the process must end at once."""


class Interrupted(Abandoned):
    """A person or the system asked the run to end."""

    exit_code = INTERRUPTED


class OutOfTime(Abandoned):
    """The run had not come to its end within the time that the user gave it."""

    exit_code = 75


def run(work: Callable[[], T], timeout: float | None, begun: float | None = None) -> T:
    """Return what `work` returns, or raise what it raises.

    Raises OutOfTime after `timeout` seconds, counted from `begun` (monotonic) if that is given, and
    Interrupted on one of SIGNALS; from then on another one ends the process on the spot.
    """
    future: Future[T] = Future()
    with _answering_signals():
        threading.Thread(target=_fulfil, args=(future, work), name="run", daemon=True).start()
        if not wait([future], _left(timeout, begun)).done:
            raise OutOfTime(f"out of time after {timeout:g} s")
        return future.result()


def is_under_nohup(number: signal.Signals) -> bool:
    """Tell whether a closed terminal is to be ignored; any other signal is heard, ignored or not.

    A shell has Ctrl-C ignored by what it starts in the background, where it is still sent by hand.
    """
    return number == signal.SIGHUP and signal.getsignal(number) is signal.SIG_IGN


def _left(timeout: float | None, begun: float | None) -> float | None:
    if timeout is None or begun is None:
        return timeout
    return max(0.0, timeout - (time.monotonic() - begun))


def _fulfil(future: Future[T], work: Callable[[], T]) -> None:
    try:
        future.set_result(work())
    except BaseException as error:
        future.set_exception(error)


@contextmanager
def _answering_signals() -> Iterator[None]:
    heard = [s for s in SIGNALS if not is_under_nohup(s)]
    before: dict[signal.Signals, Any] = {s: signal.signal(s, _interrupt) for s in heard}
    after: dict[signal.Signals, Any] = before
    try:
        yield
    except Abandoned:
        after = dict.fromkeys(heard, _leave)
        raise
    finally:
        for number, handler in after.items():
            signal.signal(number, handler)


def _interrupt(number: int, _: FrameType | None) -> None:
    raise Interrupted(f"interrupted by {signal.Signals(number).name}")


def _leave(*_: object) -> None:
    os._exit(INTERRUPTED)
