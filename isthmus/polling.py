"""The only waiting loop in the project, and how all that wait, or write, are told to stop."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from typing import TypeVar

from isthmus.environment import Timeouts
from isthmus.errors import ClusterUnreachable, NotReady, Stopped, TransientError

LAST_SECONDS = 5.0
"""Seconds that a single answer may take after the time of `finish_within` is over."""

T = TypeVar("T")
G = TypeVar("G")
_stopped: ContextVar[threading.Event | None] = ContextVar("stopped", default=None)
"""Set once all that waits or writes in the scope around is to end; None where nobody can say so."""
_change_check: ContextVar[Callable[[], None] | None] = ContextVar("change check", default=None)
"""What raises if the run around is no longer sure that it alone changes its environment."""
_deadline: ContextVar[float | None] = ContextVar("deadline", default=None)
"""Until when, by the monotonic clock, all waiting in the scope around must have ended."""
_limits: ContextVar[Timeouts] = ContextVar("limits", default=Timeouts())  # noqa: B039 it is frozen


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

    A probe that raises ClusterUnreachable or NotReady is asked again like one that returns None,
    not before the server's Retry-After. Raises after `timeout` seconds, marked as timed out so that
    nothing waits for the same once more: `error` with what `seen` last observed, the last probe's
    own kind of ClusterUnreachable if it raised one. Raises Stopped once the run is told to.
    """
    timeout = _within_deadline(timeout)
    deadline = time.monotonic() + timeout
    while True:
        passing: TransientError | None = None
        try:
            if (found := probe()) is not None:
                return found
        except (ClusterUnreachable, NotReady) as raised:
            if raised.timed_out:
                raise
            passing = raised
        left = deadline - time.monotonic()
        wanted = max(interval, min(passing.retry_after, left) if passing else 0.0)
        if wanted > left or left <= 0:
            raise _timed_out(what, timeout, cluster, seen, error, passing) from passing
        pause(wanted)


def pause(seconds: float) -> None:
    """Let so much time pass; raises Stopped as soon as the run around is told to end."""
    (_stopped.get() or threading.Event()).wait(seconds)
    raise_if_stopped()


def _timed_out(
    what: str,
    timeout: float,
    cluster: str | None,
    seen: Callable[[], str] | None,
    error: type[TransientError],
    passing: TransientError | None,
) -> TransientError:
    kind = type(passing) if isinstance(passing, ClusterUnreachable) else error
    last = passing.message if passing else _observed(seen)
    raised = kind(
        f"timed out after {timeout:g} s waiting for {what}"
        + (f"; last seen: {last}" if last else ""),
        cluster=cluster or (passing.cluster if passing else None),
        hint=passing.hint if passing else "",
    )
    raised.timed_out = True
    return raised


def _observed(seen: Callable[[], str] | None) -> str:
    try:
        return seen() if seen else ""
    except TransientError as passing:
        return passing.message


@contextmanager
def stoppable() -> Iterator[None]:
    """Let `stop` end all that the block, or a thread with its context, waits for."""
    token = _stopped.set(threading.Event())
    try:
        yield
    finally:
        _stopped.reset(token)


def stop() -> None:
    """Make everything that waits in the scope of `stoppable`, now and later, raise Stopped."""
    if stopped := _stopped.get():
        stopped.set()


def raise_if_stopped() -> None:
    """Raise Stopped if the run around was told to stop."""
    if (stopped := _stopped.get()) and stopped.is_set():
        raise Stopped("the run was told to stop")


@contextmanager
def check_before_changes(check: Callable[[], None]) -> Iterator[None]:
    """Have `check` called before everything that the block, or a step of it, changes."""
    token = _change_check.set(check)
    try:
        yield
    finally:
        _change_check.reset(token)


@contextmanager
def use_timeouts(timeouts: Timeouts) -> Iterator[None]:
    """Let all that the block, or a step of it, waits for have these limits."""
    token = _limits.set(timeouts)
    try:
        yield
    finally:
        _limits.reset(token)


@contextmanager
def finish_within(seconds: float) -> Iterator[None]:
    """Let nothing that the block, or a step of it, waits for go on longer than so many seconds."""
    token = _deadline.set(time.monotonic() + seconds)
    try:
        yield
    finally:
        _deadline.reset(token)


def is_out_of_time() -> bool:
    """Tell whether the seconds of `finish_within` are over."""
    deadline = _deadline.get()
    return deadline is not None and time.monotonic() >= deadline


def timeouts() -> Timeouts:
    """Return how long things may take here: what the environment's file says, or the defaults.

    Within `finish_within` nothing may take longer than what is left of it, but for the seconds
    that any answer may need, and for a command that is at work in a pod.
    """
    limits = _limits.get()
    if _deadline.get() is None:
        return limits
    shorter = {
        name: max(min(value, LAST_SECONDS), _within_deadline(value))
        for name, value in limits
        if name != "exec"
    }
    return limits.model_copy(update=shorter)


def _within_deadline(seconds: float) -> float:
    deadline = _deadline.get()
    return seconds if deadline is None else max(0.0, min(seconds, deadline - time.monotonic()))


def in_current_context(function: Callable[[G], T]) -> Callable[[G], T]:
    """Return the function as other threads may call it: in its turn, within the limits of here."""
    context = copy_context()
    return lambda given: context.copy().run(function, given)


def run_change_check() -> None:
    """Raise what the run's own check raises, if it may change nothing any more."""
    if check := _change_check.get():
        check()
