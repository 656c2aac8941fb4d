"""What a run leaves for whoever looks at it later, as text: pure, no I/O, nothing of Prefect.

known gathers facts, story says what became of the run; topology, tables, gantt and outcome draw
them, leaving chooses what a run leaves. Text from outside passes words, and so scrub.
"""

from isthmus.reporting.known import Known
from isthmus.reporting.leaving import Page, Table, progress_key, progress_line, what_is_left
from isthmus.reporting.scrub import scrub
from isthmus.reporting.story import Failure, Run, Story
from isthmus.reporting.words import line

__all__ = [
    "Failure",
    "Known",
    "Page",
    "Run",
    "Story",
    "Table",
    "line",
    "progress_key",
    "progress_line",
    "scrub",
    "what_is_left",
]
