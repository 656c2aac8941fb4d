"""One Prefect server a session, for all tests here."""

import os
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.request

import pytest

IDLE = ("SCHEDULER", "LATE_RUNS", "FOREMAN", "TRIGGERS", "REPOSSESSOR", "PAUSE_EXPIRATIONS",
        "CANCELLATION_CLEANUP", "CLEANUP_RECONCILER")  # fmt: skip
"""The server's services that no test needs and that write to its database."""
RECORDING = {"BATCH_SIZE": "50", "FLUSH_INTERVAL": "1"}
"""What a flow tells of its steps is recorded a second's worth at once: one by one, as is the
default, it took more of the server's time than all that the tests ask for."""


@pytest.fixture(scope="session")
def prefect_server(tmp_path_factory, pytestconfig):
    """Run a Prefect server of our own; return its URL and its database."""
    from importlib.metadata import version

    home = tmp_path_factory.mktemp("prefect")
    database = home / "prefect.db"
    migrated = pytestconfig.cache.mkdir(f"prefect-{version('prefect')}") / "migrated.db"
    if migrated.exists():
        _copy(migrated, database)
    port = _free_port()
    with (home / "log").open("w") as log:
        process = subprocess.Popen(_uvicorn(port), env=_server(home), stdout=log, stderr=log)
    try:
        _await_health(f"http://127.0.0.1:{port}/api/health", process, home / "log")
        if not migrated.exists():
            _copy(database, migrated)
        yield f"http://127.0.0.1:{port}/api", database
        _drain()
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def prefect(prefect_server, tmp_path, monkeypatch):
    """Make flows of this test run against the session's server; return its database."""
    from prefect import settings
    from prefect.client import base

    # A server that writes events keeps SQLite locked for moments; the client waits 2, 4, 8 s.
    for name in ("bounded_poisson_interval", "clamped_poisson_interval"):
        monkeypatch.setattr(base, name, lambda *_: 0.1)

    # The session's server keeps its database: no run is at work that it does not know.
    monkeypatch.setattr("flows.concurrency_limit.UNKNOWN_RUN_STOP_SECONDS", 0.0)

    url, database = prefect_server
    chosen = {
        settings.PREFECT_API_URL: url,
        settings.PREFECT_SERVER_ALLOW_EPHEMERAL_MODE: False,
        settings.PREFECT_LOCAL_STORAGE_PATH: tmp_path / "results",
        settings.PREFECT_CLIENT_MAX_RETRIES: 50,
        settings.PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None,
        settings.PREFECT_LOGGING_TO_API_ENABLED: False,
        settings.PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW: "ignore",
    }
    with settings.temporary_settings(chosen):
        yield database


def _drain():
    """Send what Prefect still has to say: at exit it would wait for a server that is gone."""
    from prefect.events.worker import EventsWorker
    from prefect.logging.handlers import APILogWorker

    EventsWorker.drain_all()
    APILogWorker.drain_all()


def _copy(source, target):
    # As a database and not as a file: the server keeps part of it in a log beside it.
    # Tests run side by side, and each process of them may be the first that keeps it.
    part = target.with_suffix(f".{os.getpid()}.part")
    with sqlite3.connect(source) as have, sqlite3.connect(part) as copy:
        have.backup(copy)
    part.rename(target)


def _uvicorn(port):
    factory = ["--factory", "prefect.server.api.server:create_app"]
    place = ["--host", "127.0.0.1", "--port", str(port), "--log-level", "warning"]
    return [sys.executable, "-m", "uvicorn", *factory, *place]


def _server(home):
    return {
        **{k: v for k, v in os.environ.items() if not k.startswith("PREFECT_")},
        "PREFECT_HOME": str(home),
        "PREFECT_API_DATABASE_CONNECTION_URL": f"sqlite+aiosqlite:///{home / 'prefect.db'}",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_UI_ENABLED": "false",
        "PREFECT_API_BLOCKS_REGISTER_ON_START": "false",
        **{f"PREFECT_SERVER_SERVICES_{name}_ENABLED": "false" for name in IDLE},
        **{f"PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_{k}": v for k, v in RECORDING.items()},
    }


def _free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def _await_health(url, process, log):
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    deadline = time.monotonic() + 120
    while process.poll() is None and time.monotonic() < deadline:
        try:
            opener.open(url, timeout=5).close()
            return
        except OSError:
            time.sleep(0.05)
    raise AssertionError(log.read_text())
