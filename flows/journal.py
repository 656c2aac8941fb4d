"""The run's log, as a person reads it in Prefect's pages: a line for each step that ended."""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from prefect.logging import get_run_logger

from isthmus import progress
from isthmus.progress import Event
from isthmus.reporting import scrub

LEVELS = {"done": logging.INFO, "retrying": logging.WARNING, "failed": logging.ERROR}


@contextmanager
def kept() -> Iterator[None]:
    """Log how each step ended, and how long it took, while the block runs. To be called in a flow.

    Prefect's own lines say "Completed()" of a step; what it found only the step itself can say.
    """
    logger = get_run_logger()
    starts: dict[str, float] = {}
    lock = threading.Lock()

    def log(event: Event) -> None:
        with lock:
            start = starts.setdefault(event.step, event.at)
        if event.kind in LEVELS:
            place = f"{event.name} ({event.cluster})" if event.cluster else event.name
            text = f"{place}: {event.kind}, {event.at - start:.1f} s"
            found = f": {event.text}" if event.text else ""
            logger.log(LEVELS[event.kind], "%s", scrub(text + found))

    with progress.listening(log):
        yield
