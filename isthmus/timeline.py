"""The steps of one run, put together from progress events; and which of them made it long."""

import threading
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

from isthmus.events import Event

Outcome = Literal["running", "retrying", "done", "failed"]


@dataclass(frozen=True)
class Step:
    """One step as it is now. Times are seconds since the epoch."""

    step: str
    name: str
    cluster: str | None
    start: float
    end: float | None = None
    outcome: Outcome = "running"
    after: tuple[str, ...] = ()
    text: str = ""
    fraction: float | None = None

    @property
    def label(self) -> str:
        """What it does and where: `install host (beijing)`."""
        return f"{self.name} ({self.cluster})" if self.cluster else self.name

    def seconds(self, now: float) -> float:
        """Return how long it has taken."""
        return max(0.0, (now if self.end is None else self.end) - self.start)

    def with_event(self, event: Event) -> "Step":
        """Return the step as it is after one more event."""
        after = event.after or self.after
        if event.kind in ("done", "failed"):
            text = event.text if event.kind == "failed" else event.text or self.text
            outcome: Outcome = "failed" if event.kind == "failed" else "done"
            return replace(self, after=after, text=text, outcome=outcome, end=event.at)
        outcome = "retrying" if event.kind == "retrying" else "running"
        if event.kind == "noted":
            outcome = self.outcome
        text = event.text or self.text
        return replace(
            self, after=after, text=text, fraction=event.fraction, outcome=outcome, end=None
        )


class StepRecorder:
    """A listener that knows all steps, in order of start; events may come from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._steps: dict[str, Step] = {}

    def __call__(self, event: Event) -> None:
        """Take one event in."""
        self.record(event)

    def record(self, event: Event) -> Step:
        """Take one event in; return the step that it happened to, as it is now."""
        with self._lock:
            known = self._steps.get(event.step)
            step = known or Step(event.step, event.name, event.cluster, event.at)
            self._steps[event.step] = now = step.with_event(event)
            return now

    def steps(self) -> list[Step]:
        """Return the steps as they are now, in order of start."""
        with self._lock:
            return list(self._steps.values())

    def running(self) -> list[Step]:
        """Return those that have not ended."""
        return [step for step in self.steps() if step.end is None]


def critical_path(steps: Iterable[Step]) -> list[Step]:
    """Return the chain that made the run as long as it was, first step first.

    From the step that ended last back to whichever it waited for ended last, and so on.
    """
    ended = {step.step: step for step in steps if step.end is not None}
    path: list[Step] = []
    step = max(ended.values(), key=_end, default=None)
    while step is not None and step not in path:
        path.append(step)
        waited_for = [ended[name] for name in step.after if name in ended]
        step = max(waited_for, key=_end, default=None)
    return path[::-1]


def summary(steps: Iterable[Step], seconds: float) -> str:
    """Return in words what made a run of so many seconds long."""
    path = critical_path(steps)
    on_path = sum(step.seconds(step.start) for step in path)
    chain = " > ".join(step.label for step in path)
    return f"critical path: {on_path:.1f} s of {seconds:.1f} s: {chain}"


def _end(step: Step) -> float:
    return step.end or 0.0
