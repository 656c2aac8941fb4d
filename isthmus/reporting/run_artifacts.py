"""Which artifacts a run leaves, under which keys. Keys stay, so that their versions can be read."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from isthmus.diagnosis import report
from isthmus.reporting import gantt, run_summary, tables, topology
from isthmus.reporting.escape import block, drawing, prose, single_line
from isthmus.reporting.run_report import RunReport
from isthmus.reporting.tables import TableRows
from isthmus.timeline import Step, summary

MAX_RUNNING_SHOWN = 5
"""Steps that run that the line of progress names."""


@dataclass(frozen=True)
class MarkdownArtifact:
    """A page of Markdown."""

    key: str
    description: str
    markdown: str


@dataclass(frozen=True)
class TableArtifact:
    """A table; every row has the same columns."""

    key: str
    description: str
    rows: TableRows


def build_artifacts(story: RunReport) -> list[MarkdownArtifact | TableArtifact]:
    """Return what the run leaves, what matters most first; nothing of what is not known.

    A teardown leaves no picture: the last one stays that of the mesh as it was.
    """
    left = [_page(story, "outcome", "Result of the run", run_summary.text(story))]
    known = story.facts
    if told := known.diagnosis:
        text = f"{block(report.page(told.findings))}\n{prose(told.summary)}\n"
        left.append(_page(story, "diagnosis", "What is broken, and why", text))
    elif known.verification and (page := known.verification.diagnosis):
        text = f"{block(page)}\n"
        left.append(_page(story, "diagnosis", "What is broken, and why", text))
    return [*left, *(_mesh(story) if story.verb != "down" else ()), *_time(story)]


def progress_key(environment: str) -> str:
    """Return the key of the artifact that shows how far a run is."""
    return f"progress-{environment}"


def progress_line(done: int, total: int, running: Sequence[Step]) -> str:
    """Return in a line how far a run is and what it is doing."""
    now = ", ".join(step.label for step in running[:MAX_RUNNING_SHOWN])
    more = (
        f" and {len(running) - MAX_RUNNING_SHOWN} more" if len(running) > MAX_RUNNING_SHOWN else ""
    )
    return single_line(
        f"{done} of {total} steps finished" + (f"; running: {now}{more}" if now else "")
    )


def _mesh(story: RunReport) -> Iterator[MarkdownArtifact | TableArtifact]:
    known = story.facts
    if picture := topology.picture(known):
        crowded = "\nArrows are drawn only where answers are not as expected.\n"
        text = drawing(picture) + (crowded if topology.has_hidden_arrows(known) else "")
        yield _page(story, "topology", "The mesh, and the share of answers on each arrow", text)
    found = {
        "verification": ("Answers of each client, and how many are allowed", tables.answers(known)),
        "services": ("Requests that each endpoint of your services got", tables.services(known)),
        "endpoints": ("What each client's sidecar lists", tables.endpoints(known)),
        "clusters": ("The clusters", tables.clusters(known)),
    }
    yield from (_table(story, kind, *given) for kind, given in found.items() if given[1])


def _time(story: RunReport) -> Iterator[MarkdownArtifact]:
    if not story.steps:
        return
    drawn = drawing(gantt.chart(story.steps, story.end))
    text = f"{prose(summary(story.steps, story.seconds))}\n\n{drawn}"
    yield _page(story, "steps", "Duration of each step; the critical path is red", text)


def _page(story: RunReport, kind: str, what: str, markdown: str) -> MarkdownArtifact:
    return MarkdownArtifact(f"{kind}-{story.environment}", _description(story, what), markdown)


def _table(story: RunReport, kind: str, what: str, rows: TableRows) -> TableArtifact:
    return TableArtifact(f"{kind}-{story.environment}", _description(story, what), rows)


def _description(story: RunReport, what: str) -> str:
    return single_line(f"{what}. Run {story.run.name}, {story.ended_at}")
