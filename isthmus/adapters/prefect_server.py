"""The local Prefect server: one for all environments, started once, left running."""

import http.client
import json
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from filelock import FileLock

from isthmus import state, waiting
from isthmus.adapters import processes
from isthmus.adapters.processes import Process
from isthmus.errors import IsthmusError, NotReady, Unprepared

HOST = "127.0.0.1"
FIRST_PORT, PORTS = 4200, 100
START_TIMEOUT = 120.0
"""Seconds; 4 warm, 12 with a new database, several times that on a machine that compiles."""
STOP_GRACE = 10.0
"""Seconds that it may take to end by itself; it needs about 3."""
TAIL = 12
"""Lines of its log that a person gets to see."""
BROKEN = ("Can't locate revision", "is not a database", "is malformed", "already exists")
"""What a database of another Prefect version, or a damaged one, makes the server say."""

SETTINGS = {
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
    # The second generation of its pages asks an analytics host from the browser, whatever is set.
    "PREFECT_SERVER_UI_V2_ENABLED": "false",
    "PREFECT_SERVER_EPHEMERAL_ENABLED": "false",
    # Leases kept in memory would be lost with a restart, and their runs with them.
    "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": (
        "prefect.server.concurrency.lease_storage.filesystem"
    ),
}


@dataclass(frozen=True)
class Server:
    """A Prefect server on this machine that answers."""

    url: str
    """Where a person looks at it."""
    pid: int
    started: bool
    """Whether this call started it."""

    @property
    def api(self) -> str:
        """Where programs reach it."""
        return f"{self.url}/api"


def ensure(home: Path) -> Server:
    """Make the local server run; two callers at once start one.

    Raises Unprepared with the last lines of its log if it cannot start.
    """
    with _alone(home):
        process, port = _recorded(home)
        started = not (process and process.alive)
        if started or not process:
            port = _free_port()
            variables = _server_environment(home)
            process = processes.detach(_command(port), log(home), variables, umask=0o077)
            # Recorded before it answers: whoever dies while waiting leaves no unknown server.
            state.private(_record(home), json.dumps({**asdict(process), "port": port}))
        _await(home, process, port)
        return Server(_url(port), process.pid, started)


def status(home: Path) -> Server | None:
    """Return the local server if it runs and answers."""
    process, port = _recorded(home)
    if process and process.alive and _healthy(port):
        return Server(_url(port), process.pid, started=False)
    return None


def stop(home: Path) -> bool:
    """Make the local server gone; tell whether it ran. Raises NotReady if it does not end."""
    if not home.is_dir():
        return False
    with _alone(home):
        process, _ = _recorded(home)
        ran = bool(process and process.alive)
        if process:
            processes.end(process, STOP_GRACE)
        _record(home).unlink(missing_ok=True)
        return ran


def log(home: Path) -> Path:
    """Return where the server writes its log."""
    return home / "server.log"


@contextmanager
def _alone(home: Path) -> Iterator[None]:
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    with FileLock(home / "server.lock"):
        yield


def _await(home: Path, process: Process, port: int) -> None:
    def answers() -> bool | None:
        if not process.alive:
            raise _dead(home)
        return _healthy(port) or None

    try:
        waiting.until(
            answers, f"the Prefect server's answer at {_url(port)}", timeout=START_TIMEOUT
        )
    except NotReady as error:
        hint = f"look into {log(home)}; then: isthmus server stop"
        raise Unprepared(error.message, step="Prefect server", hint=hint) from None


def _dead(home: Path) -> IsthmusError:
    try:
        text = log(home).read_text(errors="replace")
    except OSError:
        text = ""
    lines = text.strip().splitlines()
    last = "\n".join(lines[-TAIL:])
    if broken := [line for line in lines if any(sign in line for sign in BROKEN)]:
        message = f"its database is damaged or of another Prefect version: {broken[-1]}"
        hint = f"move it away (its history goes with it): mv {home} {home}.old"
    else:
        message, hint = f"ended while starting:\n{last}", f"its whole log: {log(home)}"
    return Unprepared(message, step="Prefect server", hint=hint)


def _command(port: int) -> list[str]:
    address = ["--host", HOST, "--port", str(port)]
    return [sys.executable, "-m", "prefect", "--no-prompt", "server", "start", *address]


def _server_environment(home: Path) -> dict[str, str]:
    """Return the server's variables; what the user set for another Prefect is left out."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("PREFECT_")}
    database = f"sqlite+aiosqlite:///{home / 'prefect.db'}"
    own = {"PREFECT_HOME": str(home), "PREFECT_SERVER_DATABASE_CONNECTION_URL": database}
    return {**inherited, **SETTINGS, **own}


def _recorded(home: Path) -> tuple[Process | None, int]:
    try:
        record = json.loads(_record(home).read_text())
        return Process(record["pid"], record["started"]), record["port"]
    except (OSError, ValueError, KeyError, TypeError):
        return None, 0


def _record(home: Path) -> Path:
    return home / "server.json"


def _url(port: int) -> str:
    return f"http://{HOST}:{port}"


def _healthy(port: int) -> bool:
    connection = http.client.HTTPConnection(HOST, port, timeout=2)
    try:
        connection.request("GET", "/api/health")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _free_port() -> int:
    ports = range(FIRST_PORT, FIRST_PORT + PORTS)
    for port in filter(_is_free, ports):
        return port
    message = f"no free port on {HOST} from {ports[0]} to {ports[-1]}"
    raise Unprepared(message, step="Prefect server", hint="end what listens there: ss -ltnp")


def _is_free(port: int) -> bool:
    with socket.socket() as listener:
        # As the server itself binds: a port that only waits out closed connections is free.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, port))
        except OSError:
            return False
    return True
