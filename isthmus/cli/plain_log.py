"""Progress where nothing can be drawn again (a pipe, a log, CI): a line for each piece of news."""

import threading

from rich.console import Console
from rich.text import Text

from isthmus.events import Event
from isthmus.timeline import StepRecorder

REPORTS_PER_STEP = 10
"""A long step is heard of each time another tenth of it is done."""
KIND_LABELS = {"done": "ok", "failed": "FAIL", "retrying": "retry", "noted": ".."}
STYLES = {"done": "green", "failed": "red", "retrying": "yellow"}


class PlainLog:
    """A listener that prints: seconds, what became of the step, its name, cluster and findings."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._steps = StepRecorder()
        self._told: dict[str, object] = {}
        self._lock = threading.Lock()

    def __call__(self, event: Event) -> None:
        """Print the event if it is news."""
        with self._lock:
            self._steps(event)
            if event.kind == "started" or (event.kind == "noted" and not self._has_changed(event)):
                return
            self._console.print(self._line(event), soft_wrap=True)

    def __enter__(self) -> "PlainLog":
        """Nothing is to be prepared."""
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is left to print."""

    def _has_changed(self, event: Event) -> bool:
        tenth = None if event.fraction is None else int(event.fraction * REPORTS_PER_STEP)
        said = event.text if tenth is None else tenth
        if self._told.get(event.step) == said:
            return False
        self._told[event.step] = said
        return True

    def _line(self, event: Event) -> Text:
        step = next(step for step in self._steps.steps() if step.step == event.step)
        first = next(iter(event.text.splitlines()), "")
        percent = "" if event.fraction is None else f"{event.fraction:.0%} "
        line = Text.assemble(
            f"{step.seconds(event.at):7.1f}s  ",
            (f"{KIND_LABELS[event.kind]:<5}", STYLES.get(event.kind, "")),
            f" {event.name}  {event.cluster or '-'}  {percent}{first}",
        )
        line.rstrip()
        return line
