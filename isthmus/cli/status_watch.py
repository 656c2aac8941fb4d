"""`status --watch`: on a terminal one picture that is drawn anew, else a line for each change."""

import sys
import time
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING

from rich.console import Group
from rich.live import Live
from rich.text import Text

from isthmus import polling
from isthmus.cli import interruptible, terminal
from isthmus.errors import IsthmusError

if TYPE_CHECKING:
    from isthmus.cli.status_history import Change
    from isthmus.cli.status_look import Look


def watch(look: "Callable[[], Look]", output: str, interval: float) -> None:
    """Look until somebody interrupts, or nobody reads; a look that fails is told, and repeated."""
    if output == "text" and terminal.is_live(sys.stdout):
        with Live(console=terminal.stdout(), auto_refresh=False) as live:
            _repeat(look, interval, lambda seen: live.update(_picture(seen), refresh=True))
    else:
        _repeat(look, interval, _Lines() if output == "text" else _print_document)


def _repeat(look: "Callable[[], Look]", interval: float, show: "Callable[[Look], None]") -> None:
    while terminal.has_reader():
        begun = time.monotonic()
        try:
            show(look())
        except interruptible.Abandoned:
            raise
        except IsthmusError as error:
            terminal.print_message(f"{_clock(time.time())}  {error}", "red")
        polling.pause(max(0.0, interval - (time.monotonic() - begun)))


def _picture(seen: "Look") -> Group:
    last = seen.history.last
    told = f"last change: {_told(last)}" if last else "no change seen yet"
    return Group(*seen.lines(since=True), Text(f"{_clock(seen.health.now)}  {told}", "dim"))


class _Lines:
    """All at first; then each change, with the time at which it was seen."""

    def __init__(self) -> None:
        self._begun = False

    def __call__(self, seen: "Look") -> None:
        if not self._begun:
            terminal.show_lines(seen.lines(since=True))
            self._begun = True
        for change in seen.changes:
            terminal.print_result(_told(change))


def _print_document(seen: "Look") -> None:
    terminal.document("Status", seen.document())


def _told(change: "Change") -> str:
    return f"{_clock(change.at)}  {change.what}: {change.now} (was: {change.before})"


def _clock(at: float) -> str:
    return f"{datetime.fromtimestamp(at):%H:%M:%S}"
