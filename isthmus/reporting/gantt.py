"""The steps over time as a Gantt chart in Mermaid, the critical path marked."""

from collections.abc import Sequence
from typing import Any

from isthmus.reporting import mermaid_theme
from isthmus.reporting.escape import task
from isthmus.timeline import Step, critical_path

MAX_STEPS = 120
"""Steps that are drawn; of more, those that took longest. Ten clusters have about a hundred."""
EVERYWHERE = "all clusters"
WIDTH = 700
"""Pixels of the bars; the page shrinks what is wider than about 690."""
TICKS = 7
"""Times below the bars, at most; each is about 60 pixels wide."""
UNITS = {"second": 1, "minute": 60, "hour": 3600}
INTERVALS = [
    *((each, "second") for each in (1, 2, 5, 10, 30)),
    *((each, "minute") for each in (1, 2, 5, 10, 30)),
    *((each, "hour") for each in (1, 3, 12)),
]
"""Distances of times that Mermaid can draw: of a unit, no more than the next greater one has."""


def chart(steps: Sequence[Step], end: float) -> str:
    """Return the chart, a section for each cluster; empty without steps.

    `end`, in seconds since the epoch, is where a step ends that never did.
    """
    drawn = _longest(steps, end)
    if not drawn:
        return ""
    clusters = list(dict.fromkeys(_section(step) for step in drawn))
    critical = {step.step for step in critical_path(steps)}
    lines = [
        mermaid_theme.directive(gantt=_shape(clusters)),
        "gantt",
        "dateFormat x",
        "axisFormat %H:%M:%S",
        f"tickInterval {_interval(end - drawn[0].start)}",
    ]
    for cluster in clusters:
        lines.append(f"section {task(cluster)}")
        mine = [step for step in drawn if _section(step) == cluster]
        lines += [_task(step, step.step in critical, end) for step in mine]
    return "\n".join(lines)


def _section(step: Step) -> str:
    return step.cluster or EVERYWHERE


def _longest(steps: Sequence[Step], end: float) -> list[Step]:
    """Return the steps that are drawn, in order of start."""
    kept = sorted(steps, key=lambda step: step.seconds(end), reverse=True)[:MAX_STEPS]
    return sorted(kept, key=lambda step: step.start)


def _shape(sections: Sequence[str]) -> dict[str, Any]:
    """Return sizes in pixels: names of clusters stand left of the bars, and must find room."""
    left = 30 + 8 * max(map(len, sections))
    return {"useWidth": WIDTH + left, "leftPadding": left, "fontSize": 13, "sectionFontSize": 13}


def _interval(seconds: float) -> str:
    """Return how far apart the times below the bars are to be."""
    fitting = (f"{n}{unit}" for n, unit in INTERVALS if seconds <= TICKS * n * UNITS[unit])
    return next(fitting, "1day")


def _task(step: Step, critical: bool, end: float) -> str:
    words = {"failed": "FAILED ", "retrying": "retried ", "running": "unfinished "}
    # The seconds first: a line that began with `click` would be an order to Mermaid.
    name = task(f"{step.seconds(end):.1f} s {words.get(step.outcome, '')}{step.name}")
    marks = ["crit"] * critical + (["active"] if step.end is None else ["done"] * (not critical))
    # A bar without any width would be no bar.
    milliseconds = max(1, round(step.seconds(end) * 1000))
    return f"{name} :{', '.join([*marks, f'{step.start * 1000:.0f}', f'{milliseconds}ms'])}"
