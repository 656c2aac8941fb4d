"""Artifacts: what a run shows while it is at work, and what it leaves; no step waits for them.

Only this module calls prefect.artifacts; what they say is made in isthmus.reporting.
"""

import contextvars
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import cast
from uuid import UUID

from httpx import HTTPError, HTTPStatusError
from prefect.artifacts import (
    create_markdown_artifact,
    create_progress_artifact,
    create_table_artifact,
    update_progress_artifact,
)
from prefect.logging import get_run_logger
from prefect.settings import PREFECT_CLIENT_MAX_RETRIES, temporary_settings

from isthmus import events, polling
from isthmus.environment import Environment
from isthmus.reporting import MarkdownArtifact, TableArtifact, build_artifacts, progress_key, redact
from tasks.run_tracker import RunTracker

PROGRESS_INTERVAL = 2.0
"""Seconds from one sign of progress to the next; each is a write to a database that steps need."""
PUBLISH_TIMEOUT = 3.0
"""Seconds for which a server may refuse one artifact: SQLite does, while it writes events."""
FINAL_PUBLISH_TIMEOUT = 6.0
"""Seconds that a run's end waits for what it leaves; a cancelled one must be over within 15."""
TOO_MANY = 429


@contextmanager
def publish_artifacts(environment: Environment, verb: str) -> Iterator[RunTracker]:
    """Show how far the run is while the block runs, and leave its artifacts at its end.

    They are left however the block ends; what it raises passes through. `verb` is the command that
    goes on after a failure: up, verify or down. To be called in a flow.
    """
    told = RunTracker(environment, verb)
    with events.subscribe(told), _publishing(told):
        try:
            yield told
        except BaseException as error:
            told.record_failure(error)
            raise


@contextmanager
def _publishing(told: RunTracker) -> Iterator[None]:
    end = threading.Event()
    publisher = _Publisher(told, end)
    # A copy of the context: with the flow run's identity, its client and its settings.
    work = partial(contextvars.copy_context().run, publisher.work)
    thread = threading.Thread(target=work, name="artifacts", daemon=True)
    thread.start()
    try:
        yield
    finally:
        end.set()
        thread.join(FINAL_PUBLISH_TIMEOUT)


class _Publisher:
    """One thread that talks to Prefect's server, so that no other has to wait for it."""

    def __init__(self, told: RunTracker, end: threading.Event) -> None:
        self._tracker, self._end = told, end
        self._key = progress_key(told.environment.name)
        self._progress: UUID | None = None
        self._shown: tuple[float, str] | None = None

    def work(self) -> None:
        # Prefect's own client would sleep for seconds where a tenth is enough.
        with temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 0}):
            while not self._end.wait(PROGRESS_INTERVAL):
                _attempt(self._show_progress, self._key)
            _attempt(self._leave, "artifacts")

    def _leave(self) -> None:
        for left in build_artifacts(self._tracker.report()):
            _attempt(partial(_publish, left), left.key)
        _attempt(self._show_progress, self._key)

    def _show_progress(self) -> None:
        percent, line = now = (self._tracker.percent(), self._tracker.line())
        if now == self._shown:
            return
        if self._progress is None:
            # Typed for callers in an event loop too; a thread of our own has none.
            self._progress = cast(UUID, create_progress_artifact(percent, self._key, line))
        else:
            update_progress_artifact(self._progress, percent, line)
        self._shown = now


def _attempt(send: Callable[[], None], what: str) -> None:
    """Do it, again if the server is busy; a run is worth more than what it tells."""
    try:
        polling.until(
            partial(_sent, send), f"{what} to be published", timeout=PUBLISH_TIMEOUT, interval=0.1
        )
    except Exception as error:
        get_run_logger().warning("%s not published: %s", what, redact(str(error)))


def _sent(send: Callable[[], None]) -> bool | None:
    try:
        send()
    except HTTPStatusError as error:
        if error.response.status_code < 500 and error.response.status_code != TOO_MANY:
            raise
        return None
    except HTTPError:
        return None
    return True


def _publish(left: MarkdownArtifact | TableArtifact) -> None:
    if isinstance(left, MarkdownArtifact):
        create_markdown_artifact(left.markdown, left.key, left.description)
    else:
        create_table_artifact(left.rows, left.key, left.description)
