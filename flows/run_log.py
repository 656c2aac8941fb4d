"""The run's log, as a person reads it in Prefect's pages: a line for each step that ended."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from prefect.logging import get_run_logger

from isthmus import events
from isthmus.events import Event
from isthmus.reporting import redact
from isthmus.timeline import StepRecorder

LEVELS = {"done": logging.INFO, "retrying": logging.WARNING, "failed": logging.ERROR}


@contextmanager
def log_steps() -> Iterator[None]:
    """Log how each step ended, and how long it took, while the block runs. To be called in a flow.

    Prefect's own lines say "Completed()" of a step; what it found only the step itself can say.
    """
    logger, steps = get_run_logger(), StepRecorder()

    def log(event: Event) -> None:
        step = steps.record(event)
        if event.kind in LEVELS:
            text = f"{step.label}: {event.kind}, {step.seconds(event.at):.1f} s"
            found = f": {event.text}" if event.text else ""
            logger.log(LEVELS[event.kind], "%s", redact(text + found))

    with events.subscribe(log):
        yield
