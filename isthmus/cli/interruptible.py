"""One run in a thread of its own, so that this one can always answer: to a signal, to a deadline.

A thread that waits for a cluster cannot be stopped: whoever catches Abandoned ends the process.
A signal is a byte that is read (signal.set_wakeup_fd, as asyncio does it), never an exception out
of nowhere: one that is raised amid a Condition.wait leaves its lock released, and what comes out is
"RuntimeError: release unlocked lock".
"""

import contextlib
import contextvars
import os
import select
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any, TypeVar

from isthmus.errors import IsthmusError

T = TypeVar("T")
INTERRUPTED_EXIT_CODE = 130
"""Exit code after Ctrl-C or SIGTERM."""
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Abandoned(IsthmusError):
    """The run was given up while its threads still work; the process must end at once."""


class Interrupted(Abandoned):
    """A person or the system asked the run to end."""

    exit_code = INTERRUPTED_EXIT_CODE


class DeadlineExceeded(Abandoned):
    """The run had not come to its end within the time that the user gave it."""

    exit_code = 75


def run(work: Callable[[], T], timeout: float | None, begun: float | None = None) -> T:
    """Return what `work` returns, or raise what it raises.

    Raises DeadlineExceeded after `timeout` seconds, counted from `begun` (monotonic) if that is
    given, and Interrupted on one of SIGNALS; from then on another one ends the process on the spot.
    """
    future: Future[T] = Future()
    with _signal_wakeup_pipe() as (heard, ended):
        context = contextvars.copy_context()
        threading.Thread(
            target=context.run, args=(_fulfil, future, work, ended), name="run", daemon=True
        ).start()
        if not select.select([heard], [], [], _left(timeout, begun))[0]:
            raise DeadlineExceeded(f"timed out after {timeout:g} s")
        if number := _first(heard):
            raise Interrupted(f"interrupted by {signal.Signals(number).name}")
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


def _fulfil(future: Future[T], work: Callable[[], T], ended: int) -> None:
    try:
        future.set_result(work())
    except BaseException as error:
        future.set_exception(error)
    with contextlib.suppress(OSError):  # Nobody listens any more to a run that was given up.
        os.write(ended, b"\0")


@contextmanager
def _signal_wakeup_pipe() -> Iterator[tuple[int, int]]:
    """Yield a pipe's two ends: what is written into the second, and each signal's number, is read.

    A run that was given up still has the second, and the process is about to end.
    """
    heard = [s for s in SIGNALS if not is_under_nohup(s)]
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    os.set_blocking(writing, False)
    woken = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    before: dict[signal.Signals, Any] = {s: signal.signal(s, _noop_handler) for s in heard}
    after: dict[signal.Signals, Any] = before
    try:
        yield reading, writing
    except Abandoned:
        after = dict.fromkeys(heard, _exit_at_once)
        raise
    finally:
        for number, handler in after.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(woken)
        late = _first(reading)
        os.close(reading)
        if after is before:
            os.close(writing)
            if late:  # It came when the run had just ended: nobody has heard it.
                signal.raise_signal(late)


def _first(heard: int) -> int:
    """Return the first signal's number of all that were sent so far, or 0."""
    with contextlib.suppress(BlockingIOError):
        return next(filter(None, os.read(heard, 4096)), 0)
    return 0


def _noop_handler(*_: object) -> None:
    """Have Python write the signal's number into the pipe: it does so with a handler."""


def _exit_at_once(*_: object) -> None:
    os._exit(INTERRUPTED_EXIT_CODE)
