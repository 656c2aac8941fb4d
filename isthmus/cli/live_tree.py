"""The live tree of steps on a terminal: a line for each, in order of start, drawn in place."""

import threading
import time
from collections.abc import Sequence

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.spinner import Spinner
from rich.text import Text

from isthmus.cli.terminal import Marks
from isthmus.events import Event
from isthmus.timeline import Step, StepRecorder

REFRESH_PER_SECOND = 6
"""Times a second; more would cost what the clusters need."""
MARGIN = 2
"""Lines of the terminal that the tree leaves free."""
STYLES = {"done": "green", "failed": "red", "retrying": "yellow", "running": "cyan"}


class LiveTree:
    """A listener that draws; what has ended moves into the scroll-back as soon as order allows."""

    def __init__(self, console: Console, marks: Marks) -> None:
        self._console, self._marks = console, marks
        self._steps, self._printed = StepRecorder(), 0
        self._printing = threading.Lock()
        self._spinner = Spinner(marks.spinner)
        self._live = Live(
            get_renderable=self._draw,
            console=console,
            refresh_per_second=REFRESH_PER_SECOND,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )

    def __call__(self, event: Event) -> None:
        """Take one event in; the next drawing shows it."""
        self._steps(event)
        if event.kind in ("done", "failed"):
            with self._printing:
                self._print(leading_ended_steps(self._steps.steps()[self._printed :]))

    def __enter__(self) -> "LiveTree":
        """Start to draw."""
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Leave every step on the screen, as it was last."""
        self._live.stop()
        with self._printing:
            self._print(self._steps.steps()[self._printed :])

    def _print(self, steps: Sequence[Step]) -> None:
        now = time.time()
        self._printed += len(steps)
        for step in steps:
            self._console.print(self._line(step, now), soft_wrap=True)

    def _draw(self) -> RenderableType:
        # Takes no lock but the steps' own: the thread that draws holds the console already.
        now = time.time()
        room = max(1, self._console.height - MARGIN)
        shown, hidden = select_visible_steps(self._steps.steps()[self._printed :], room)
        lines = [self._line(step, now) for step in shown]
        if hidden:
            lines.append(Text(f"{self._marks.more} {hidden} more", style="dim"))
        return Group(*lines)

    def _line(self, step: Step, now: float) -> Text:
        style = STYLES[step.outcome]
        seconds = f"{step.seconds(now):7.1f} s"
        line = Text.assemble(
            (f"{self._mark(step, now)} ", style),
            f"{step.name:<32} {step.cluster or '':<14}",
            (f"{seconds}  ", "dim"),
            (progress_text(step), "red" if step.outcome == "failed" else ""),
        )
        line.truncate(self._console.width, overflow="ellipsis")
        return line

    def _mark(self, step: Step, now: float) -> str:
        if step.outcome == "running":
            return str(self._spinner.render(now))
        signs = {"done": self._marks.done, "failed": self._marks.failed}
        return signs.get(step.outcome, self._marks.retrying)


def progress_text(step: Step) -> str:
    """Return what a step found, or how far it is, in one line."""
    first = next(iter(step.text.splitlines()), "")
    if step.end is None and step.fraction is not None:
        return f"{step.fraction:.0%} {first}"
    return first


def leading_ended_steps(steps: Sequence[Step]) -> list[Step]:
    """Return the steps up to the first that still runs."""
    running = (at for at, step in enumerate(steps) if step.end is None)
    return list(steps[: next(running, len(steps))])


def select_visible_steps(steps: Sequence[Step], room: int) -> tuple[list[Step], int]:
    """Return the steps that fit into `room` lines, in order, and how many do not.

    What still runs is kept before what has ended, and the later before the earlier.
    """
    if len(steps) <= room:
        return list(steps), 0
    by_worth = sorted(range(len(steps)), key=lambda at: (steps[at].end is None, at), reverse=True)
    kept = sorted(by_worth[: max(0, room - 1)])
    return [steps[at] for at in kept], len(steps) - len(kept)
