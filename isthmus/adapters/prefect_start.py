"""Making the Prefect server and its worker run, and what a person is told if they do not."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from isthmus import polling
from isthmus.adapters import (
    prefect_api,
    prefect_database,
    prefect_record,
    prefect_settings,
    prefect_supervisor,
    supervisord,
)
from isthmus.adapters.prefect_record import ServerRecord
from isthmus.errors import IsthmusError, NotReady, Unprepared

CSP_META_TAG = (
    '<meta http-equiv="Content-Security-Policy" content="connect-src \'self\' data: blob:">'
)
"""What a browser takes as: talk to the host that this page came from, and to no other."""

TAKEN = "address already in use"
"""What the server says if somebody listened there between our look and its start."""
START_TIMEOUT = 120.0
"""Seconds; 4 warm, 12 with a new database, several times that on a machine that compiles."""
TAIL = 12
"""Lines of a log that a person gets to see."""
BROKEN = ("Can't locate revision", "is not a database", "is malformed", "already exists")
"""What a database of another Prefect version, or a damaged one, makes the server say."""


class PortTaken(Unprepared):
    """Somebody listens where the server was to, since we looked."""


def start_server(home: Path) -> ServerRecord:
    """Start the server, under a supervisor that runs already or a new one; return its record.

    Raises Unprepared if what was chosen for it cannot be had.
    """
    last = prefect_record.read(home)
    prefect_settings.retention_days()
    prefect_database.save_requested_url(home)
    prefect_settings.auth(home)  # made now: two that make it at once would make two
    if last and last.supervisor.alive:
        supervisord.stop_program(prefect_supervisor.connect_supervisor(last.supervisor), "server")
    record = _recorded(home, last)
    control = prefect_supervisor.connect_supervisor(record.supervisor)
    supervisord.start_program(control, "server")
    if last and last.address != record.address and prefect_supervisor.is_running(record, "worker"):
        supervisord.stop_program(control, "worker")  # it would go on asking at the old address
        supervisord.start_program(control, "worker")
    return record


def await_server(home: Path, record: ServerRecord, said: int) -> int:
    """Return the server's process id once it answers; its log is read from the byte `said`.

    Raises Unprepared with the last lines of its log if it ends before that.
    """
    api = prefect_api.own_server_api(record.address.api, prefect_settings.auth(home))
    what = f"the Prefect server to answer at {record.address.url}"
    return _await(home, record, "server", said, api.is_reachable, what)


def await_worker(home: Path, record: ServerRecord) -> int:
    """Make the worker run; return its process id once the server has heard of it.

    Raises Unprepared with the last lines of its log if it ends before that.
    """
    if (found := prefect_supervisor.get_program(record, "worker")).is_running:
        return found.pid
    api = prefect_api.own_server_api(record.address.api, prefect_settings.auth(home))
    said, before = size(prefect_supervisor.log(home, "worker")), _last_heartbeat(api)
    supervisord.start_program(prefect_supervisor.connect_supervisor(record.supervisor), "worker")
    what = "the Prefect worker's first heartbeat"
    return _await(home, record, "worker", said, lambda: _last_heartbeat(api) != before, what)


def size(log: Path) -> int:
    """Return how much is in a log by now."""
    return log.stat().st_size if log.exists() else 0


def _recorded(home: Path, last: ServerRecord | None) -> ServerRecord:
    chosen = prefect_settings.options(home)
    address = prefect_record.choose(chosen.host, chosen.port, last.address.port if last else None)
    if last and last.supervisor.alive:
        record = replace(last, address=address)
    else:
        record = ServerRecord(prefect_supervisor.start(home), address)
    # Recorded before it answers: whoever dies while waiting leaves no unknown server.
    prefect_record.write(home, record)
    return record


def _await(
    home: Path, record: ServerRecord, name: str, said: int, ready: Callable[[], bool], what: str
) -> int:
    first = prefect_supervisor.get_program(record, name).pid

    def running() -> int | None:
        now = prefect_supervisor.get_program(record, name)
        if ready():
            return now.pid or None
        if not now.is_running or now.pid != first:
            raise _dead(home, record, name, said)
        return None

    try:
        return polling.until(running, what, timeout=START_TIMEOUT)
    except NotReady as error:
        hint = f"look into {prefect_supervisor.log(home, name)}; then: isthmus server stop"
        raise Unprepared(error.message, step=f"Prefect {name}", hint=hint) from None


def _last_heartbeat(api: prefect_api.PrefectApi) -> str:
    """Return when this machine's worker spoke last, in the server's words."""
    path = f"/work_pools/{prefect_settings.WORK_POOL}/workers/filter"
    try:
        workers = api.request(path, {})
    except (OSError, ValueError):
        return ""  # there is no pool before the first worker made it
    name = prefect_settings.worker_name()
    return "".join(str(w["last_heartbeat_time"]) for w in workers if w["name"] == name)


def _dead(home: Path, record: ServerRecord, name: str, said: int) -> IsthmusError:
    supervisord.stop_program(prefect_supervisor.connect_supervisor(record.supervisor), name)
    log = prefect_supervisor.log(home, name)
    lines = _since(log, said).strip().splitlines()
    if broken := [line for line in lines if any(sign in line for sign in BROKEN)]:
        message = f"its database is damaged or of another Prefect version: {broken[-1]}"
        hint = f"move it away (its history goes with it): mv {home} {home}.old"
    elif any(TAKEN in line for line in lines):
        where = f"{record.address.host}:{record.address.port}"
        message = f"address already in use: {where}"
        return PortTaken(message, step=f"Prefect {name}", hint="see what listens there: ss -ltnp")
    else:
        last = "\n".join(lines[-TAIL:])
        message, hint = f"exited while starting:\n{last}", f"its whole log: {log}"
    return Unprepared(message, step=f"Prefect {name}", hint=hint)


def _since(log: Path, said: int) -> str:
    try:
        with log.open("rb") as file:
            file.seek(said if said <= size(log) else 0)
            return file.read().decode(errors="replace")
    except OSError:
        return ""


def add_csp(home: Path) -> None:
    """Make browsers ask only our own server for data; done once for each version of the pages."""
    for page in (home / "ui").glob("v*/index.html"):
        text = page.read_text()
        if CSP_META_TAG not in text:
            page.write_text(text.replace("<head>", f"<head>{CSP_META_TAG}", 1))
