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
from urllib.parse import urlsplit

from isthmus import events, state
from isthmus.adapters import (
    prefect_api,
    prefect_record,
    prefect_server,
    prefect_settings,
    subprocess_env,
    web_proxy,
)
from isthmus.cli import prefect_client
from isthmus.events import Event

USER_SERVER_PREFIXES = ("PREFECT_API_", "PREFECT_CLIENT_", "PREFECT_CLOUD_", "PREFECT_UI_URL",
                        "PREFECT_PROFILE", "PREFECT_HOME")  # fmt: skip
"""Beginnings of the variables by which a person's own server is reached; of our own, none is."""


@contextmanager
def server_context(tag: str) -> Iterator[None]:
    """Make flows called in the block run against a server, tagged, without a word of Prefect's.

    Raises Unprepared if there is no server and none can be started.
    """
    connect()
    settings = prefect_client.load()
    prefect = importlib.import_module("prefect")
    # A flow's heartbeat thread sleeps for a second at the flow's end; we see that it lives.
    without_heartbeat = {settings.PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}
    with settings.temporary_settings(without_heartbeat), prefect.tags(tag, "isthmus"):
        yield


def connect() -> None:
    """Make PREFECT_API_URL name a server that answers: the person's, or our own.

    From here on this process stands in a folder of ours: Prefect reads prefect.toml, .env and
    pyproject.toml of the one it stands in, over and over, and a run is the same from any folder.
    """
    _suppress_warnings()
    _enter_server_folder()
    step = Event("started", "prefect-server", "Prefect server")
    events.publish(step)
    try:
        found = _connect_user_server() or _ensure_own_server()
    except Exception as error:
        events.publish(_next(step, "failed", str(error)))
        raise
    events.publish(_next(step, "done", found))


def folder() -> Path:
    """Return the folder of our own server."""
    return prefect_record.folder()


def _connect_user_server() -> str:
    if api := os.environ.get("PREFECT_API_URL", ""):
        _drop_other_variables(USER_SERVER_PREFIXES)
        os.environ.update(prefect_api.environment(api, folder()))
        if not web_proxy.proxy_for(api):
            os.environ.update(web_proxy.no_proxy_variables([urlsplit(api).hostname or ""]))
        prefect_client.check(api)
    return api


def _ensure_own_server() -> str:
    server = prefect_server.ensure(folder())
    _drop_other_variables(())
    pages = f"{server.url}{prefect_settings.PAGES}"
    os.environ.update(prefect_settings.client(folder(), server.api), PREFECT_UI_URL=pages)
    return f"{server.url}{' started' if server.started else ''}"


def _drop_other_variables(beginnings: tuple[str, ...]) -> None:
    """Leave no variable of Prefect's that does not begin so."""
    for name in list(os.environ):
        if name.startswith("PREFECT_") and not name.startswith(beginnings):
            del os.environ[name]


def _enter_server_folder() -> None:
    os.environ.update(ISTHMUS_HOME=str(state.home()), ISTHMUS_CACHE=str(state.cache()))
    os.environ["HOME"] = os.environ.get("HOME") or str(subprocess_env.home())
    folder().mkdir(parents=True, exist_ok=True, mode=0o700)
    os.chdir(folder())


def _suppress_warnings() -> None:
    if not os.environ.get("ISTHMUS_DEBUG"):
        warnings.simplefilter("ignore")
        logging.raiseExceptions = False  # or a log line that cannot be sent prints a traceback


def _next(step: Event, kind: events.EventKind, text: str) -> Event:
    return Event(kind, step.step, step.name, text=text, at=time.time())
