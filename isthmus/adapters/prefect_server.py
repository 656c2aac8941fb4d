"""The local Prefect server and its worker: one supervisor for both, started once, left running."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from isthmus.adapters import (
    prefect_api,
    prefect_database,
    prefect_record,
    prefect_runs,
    prefect_settings,
    prefect_start,
    prefect_supervisor,
    supervisord,
)
from isthmus.adapters.prefect_api import PrefectApi
from isthmus.adapters.prefect_record import ServerRecord
from isthmus.adapters.prefect_runs import FlowRunProcess
from isthmus.adapters.prefect_settings import Options
from isthmus.errors import Busy, Unprepared

PORT_TRIES = 10
"""Starts, each at the next free port: so many may begin at the same moment on one machine."""
WHY = "ended by `isthmus server stop --now`; retry this run, or go on with: isthmus up"


@dataclass(frozen=True)
class Server:
    """A Prefect server on this machine that answers."""

    url: str
    """Where a person looks at it."""
    api: str
    """Where programs on this machine reach it."""
    pid: int
    started: bool
    """Whether this call started it."""


def ensure(home: Path) -> Server:
    """Make the local server run; two callers at once start one. The worker stays as it is.

    Raises Unprepared with the last lines of its log if it cannot start.
    """
    with _alone(home):
        return _ensure(home)


def start(home: Path, wanted: Options) -> Server:
    """Make server and worker run, as wanted; later starts are the same.

    Raises Unprepared if one of them cannot start, or runs otherwise.
    """
    with _alone(home):
        record = prefect_record.read(home)
        if record and prefect_supervisor.is_running(record, "server"):
            _refuse_other_address(record, wanted)
        if record and prefect_supervisor.is_running(record, "worker"):
            _refuse_other_limit(home, wanted)
        prefect_settings.remember(home, wanted)
        server = _ensure(home)
        if record := prefect_record.read(home):
            prefect_start.await_worker(home, record)
        return server


def status(home: Path) -> Server | None:
    """Return the local server if it runs and answers."""
    record = prefect_record.read(home)
    if not record:
        return None
    pid = prefect_supervisor.get_program(record, "server").pid
    answers = pid and _api(home, record).is_reachable()
    return (
        Server(record.address.ui_url, record.address.api, pid, started=False) if answers else None
    )


def worker(home: Path) -> int | None:
    """Return the worker's process id, if it runs."""
    record = prefect_record.read(home)
    return prefect_supervisor.get_program(record, "worker").pid or None if record else None


def stop(home: Path, now: bool = False) -> bool:
    """Make server and worker gone; tell whether they ran. The next start is at the same port.

    Raises Busy, naming them, if runs are at work here; with `now` these are ended, and crashed to
    the server. Raises NotReady if something does not end.
    """
    if not home.is_dir():
        return False
    with _alone(home):
        record = prefect_record.read(home)
        ran = bool(record and record.supervisor.alive)
        if record and ran:
            _free(home, record, now)
            prefect_supervisor.shut_down(record)
        return ran


def log(home: Path, name: str = "server") -> Path:
    """Return where the server, or the worker, writes its log."""
    return prefect_supervisor.log(home, name)


@contextmanager
def _alone(home: Path) -> Iterator[None]:
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    with FileLock(home / "server.lock"):
        yield


def _ensure(home: Path) -> Server:
    record, said = prefect_record.read(home), prefect_start.size(log(home))
    started = not (record and prefect_supervisor.is_running(record, "server"))
    if started or not record:
        record, pid = _begun(home)
    else:
        _refuse_other_database(home)
        pid = prefect_start.await_server(home, record, said)
    prefect_start.add_csp(home)
    prefect_settings.write_for_a_shell(home, record.address.api)
    return Server(record.address.ui_url, record.address.api, pid, started)


def _begun(home: Path) -> tuple[ServerRecord, int]:
    """Start the server; if somebody takes its port before it listens, at the next one."""
    for tries in range(PORT_TRIES, 0, -1):
        said = prefect_start.size(log(home))
        record = prefect_start.start_server(home)
        try:
            return record, prefect_start.await_server(home, record, said)
        except prefect_start.PortTaken:
            if tries == 1 or prefect_settings.options(home).port:
                raise
    raise AssertionError("the last try returns or raises")


def _free(home: Path, record: ServerRecord, now: bool) -> None:
    """Make no run be at work: there is none, or it is ended."""
    api = _api(home, record)
    if (runs := prefect_runs.find_running(api)) and not now:
        raise _busy(api, runs)
    if now and (pid := prefect_supervisor.get_program(record, "worker").pid):
        # Killed and not asked: asked, it would kill its runs before they could say a last word.
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    with suppress(Unprepared):
        supervisord.stop_program(prefect_supervisor.connect_supervisor(record.supervisor), "worker")
    if runs := prefect_runs.find_running(api):  # also one that began while we looked
        prefect_runs.end_runs(api, runs, WHY)


def _busy(api: PrefectApi, runs: list[FlowRunProcess]) -> Busy:
    named = ", ".join(prefect_runs.names(api, runs))
    hint = "wait for them; or end them (nothing is lost, `up` goes on): isthmus server stop --now"
    return Busy(f"flow runs are still running: {named}", step="Prefect server", hint=hint)


def _refuse_other_address(record: ServerRecord, wanted: Options) -> None:
    address = record.address
    if wanted.host != address.host or wanted.port not in (None, address.port):
        raise _other(f"runs at {address.host}:{address.port}")


def _refuse_other_limit(home: Path, wanted: Options) -> None:
    if wanted.limit != (limit := prefect_settings.options(home).limit):
        raise _other(f"has a worker with --limit {limit}")


def _refuse_other_database(home: Path) -> None:
    if prefect_database.differs(home):
        raise _other(f"runs with {prefect_database.kind(home)}, not as {prefect_database.VARIABLE}")


def _other(how: str) -> Unprepared:
    hint = "end it first: isthmus server stop"
    return Unprepared(
        f"already {how}; other options were asked for", step="Prefect server", hint=hint
    )


def _api(home: Path, record: ServerRecord) -> PrefectApi:
    return prefect_api.own_server_api(record.address.api, prefect_settings.auth(home))
