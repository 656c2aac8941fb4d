"""Prefect made ready in this process: a server found or started, variables set, then the import.

Prefect reads its variables when it is imported; nothing above may import it, or a flow, earlier.
"""

import importlib
import logging
import os
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from isthmus import progress, state
from isthmus.adapters import prefect_api, prefect_server, prefect_settings
from isthmus.progress import Event

NOT_OURS = ("PREFECT_PROFILE", "PREFECT_API_KEY", "PREFECT_API_AUTH_STRING", "PREFECT_HOME")
"""Variables that a person set for another server than our own."""


@contextmanager
def ready(tag: str) -> Iterator[None]:
    """Make flows called in the block run against a server, tagged, without a word of Prefect's.

    Raises Unprepared if there is no server and none can be started.
    """
    connect()
    prefect = importlib.import_module("prefect")
    settings = importlib.import_module("prefect.settings")
    # A flow's heartbeat thread sleeps for a second at the flow's end; we see that it lives.
    without_heartbeat = {settings.PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}
    with settings.temporary_settings(without_heartbeat), prefect.tags(tag, "isthmus"):
        yield


def connect() -> None:
    """Make PREFECT_API_URL name a server that answers: the person's, or our own."""
    _be_silent()
    step = Event("started", "prefect-server", "Prefect server")
    progress.publish(step)
    try:
        found = _theirs() or _ours()
    except Exception as error:
        progress.publish(_next(step, "failed", str(error)))
        raise
    progress.publish(_next(step, "done", found))


def folder() -> Path:
    """Return the folder of our own server."""
    return state.home() / "server"


def _theirs() -> str:
    if api := os.environ.get("PREFECT_API_URL", ""):
        prefect_api.check(api)
        os.environ.update(prefect_api.environment(api, folder()))
    return api


def _ours() -> str:
    server = prefect_server.ensure(folder())
    for name in NOT_OURS:
        os.environ.pop(name, None)
    pages = f"{server.url}{prefect_settings.PAGES}"
    os.environ.update(prefect_settings.client(folder(), server.api), PREFECT_UI_URL=pages)
    return f"{server.url}{' started' if server.started else ''}"


def _be_silent() -> None:
    if not os.environ.get("ISTHMUS_DEBUG"):
        warnings.simplefilter("ignore")
        logging.raiseExceptions = False  # or a log line that cannot be sent prints a traceback


def _next(step: Event, kind: progress.Kind, text: str) -> Event:
    return Event(kind, step.step, step.name, text=text, at=time.time())
