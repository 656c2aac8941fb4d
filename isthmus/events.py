"""What a run is doing, told to whoever listens: the terminal's tree, a log, the record of steps."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Literal

EventKind = Literal["started", "noted", "retrying", "done", "failed"]


@dataclass(frozen=True)
class Event:
    """One thing that happened to one step of a run; never holds a secret."""

    kind: EventKind
    step: str
    """Identity of the step, unique within a run."""
    name: str
    """What it does, in the story's words: `install host`."""
    cluster: str | None = None
    text: str = ""
    """What was found or done; of a failure, the whole message."""
    fraction: float | None = None
    """How much of a long step is done, 0 to 1, where that is known."""
    after: tuple[str, ...] = ()
    """Identities of the steps that this one had to wait for."""
    at: float = field(default_factory=time.time)
    """Seconds since the epoch."""


Listener = Callable[[Event], None]
_listeners: ContextVar[tuple[Listener, ...]] = ContextVar("listeners", default=())
_current: ContextVar[Event | None] = ContextVar("current step", default=None)


@contextmanager
def subscribe(listener: Listener) -> Iterator[None]:
    """Give `listener` every event of the block, and of threads with its context, as it happens.

    It is called from any of these threads.
    """
    token = _listeners.set((*_listeners.get(), listener))
    try:
        yield
    finally:
        _listeners.reset(token)


def publish(event: Event) -> None:
    """Tell all listeners."""
    for listener in _listeners.get():
        listener(event)


@contextmanager
def in_step(event: Event) -> Iterator[None]:
    """Make `report_progress` speak for this step while the block runs."""
    token = _current.set(event)
    try:
        yield
    finally:
        _current.reset(token)


def report_progress(text: str, fraction: float | None = None) -> None:
    """Note what the current step is at; outside a step nobody hears it."""
    if current := _current.get():
        publish(Event("noted", current.step, current.name, current.cluster, text, fraction))
