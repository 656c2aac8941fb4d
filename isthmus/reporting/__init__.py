"""What a run leaves for whoever looks at it later, as text: pure, no I/O, nothing of Prefect.

run_facts gathers, run_report says what became of the run; topology, tables, gantt and run_summary
draw them, run_artifacts chooses what a run leaves. Text from outside passes escape, and so
redaction.
"""

from isthmus.reporting.escape import single_line
from isthmus.reporting.redaction import redact
from isthmus.reporting.run_artifacts import (
    MarkdownArtifact,
    TableArtifact,
    build_artifacts,
    progress_key,
    progress_line,
)
from isthmus.reporting.run_facts import RunFacts
from isthmus.reporting.run_report import RunFailure, RunIdentity, RunReport

__all__ = [
    "MarkdownArtifact",
    "RunFacts",
    "RunFailure",
    "RunIdentity",
    "RunReport",
    "TableArtifact",
    "build_artifacts",
    "progress_key",
    "progress_line",
    "redact",
    "single_line",
]
