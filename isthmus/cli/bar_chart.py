"""A run's steps drawn over time, the critical path marked."""

from rich.table import Table
from rich.text import Text

from isthmus import timeline
from isthmus.cli.run_history import RunRecord
from isthmus.cli.terminal import Marks
from isthmus.timeline import Step, critical_path

WIDTH = 40
"""Columns of the time line."""


def chart(run: RunRecord, marks: Marks) -> Table:
    """Return a line for each step, in order of start; `*` marks the critical path."""
    critical = {step.step for step in critical_path(run.steps)}
    table = Table(box=None, pad_edge=False, header_style="")
    for heading in ("", "step", "cluster"):
        table.add_column(heading, no_wrap=True)
    table.add_column("start", justify="right")
    table.add_column("seconds", justify="right")
    table.add_column("", no_wrap=True)
    for step in run.steps:
        table.add_row(*_row(run, step, step.step in critical, marks))
    return table


def summary(run: RunRecord) -> str:
    """Return what made the run long, in words."""
    return timeline.summary(run.steps, run.end - run.start)


def _row(run: RunRecord, step: Step, critical: bool, marks: Marks) -> list[str | Text]:
    seconds = step.seconds(run.end)
    style = "red" if step.outcome == "failed" else "yellow" if critical else "dim"
    return [
        "*" if critical else " ",
        step.name,
        step.cluster or "",
        f"{step.start - run.start:.1f}",
        f"{seconds:.1f}",
        Text(_bar(step.start - run.start, seconds, run.end - run.start, marks.bar), style=style),
    ]


def _bar(start: float, seconds: float, total: float, sign: str) -> str:
    scale = WIDTH / max(total, 0.001)
    before = min(WIDTH - 1, int(start * scale))
    return " " * before + sign * max(1, min(WIDTH - before, round(seconds * scale)))
