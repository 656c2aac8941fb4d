"""The record of the running server: its supervisor, where it listens; and ports that are free."""

import errno
import json
import platform
import socket
from dataclasses import asdict, dataclass
from pathlib import Path

from isthmus import polling, state
from isthmus.adapters.processes import Process
from isthmus.errors import NotReady, Unprepared

LOOPBACK = "127.0.0.1"
EVERYWHERE = ("0.0.0.0", "::")
FIRST_PORT, PORTS = 4200, 100
PORT_WAIT_SECONDS = 5.0
"""Seconds until a port that was asked for must be free."""


@dataclass(frozen=True)
class Address:
    """Where the server listens."""

    host: str
    port: int

    @property
    def url(self) -> str:
        """Where it is seen from this machine."""
        return f"http://{self._near}:{self.port}"

    @property
    def ui_url(self) -> str:
        """Where a person looks at it, on another machine too if it listens for those."""
        near = f"http://{platform.node()}:{self.port}"
        return near if self.host in EVERYWHERE else self.url

    @property
    def api(self) -> str:
        """Where programs on this machine reach it."""
        return f"{self.url}/api"

    @property
    def _near(self) -> str:
        near = LOOPBACK if self.host in EVERYWHERE else self.host
        return f"[{near}]" if ":" in near else near


@dataclass(frozen=True)
class ServerRecord:
    """What was started: not believed before the process was looked at."""

    supervisor: Process
    address: Address


def folder() -> Path:
    """Return the folder of this home's own server."""
    return state.home() / "server"


def is_own(api: object) -> bool:
    """Tell whether an API's URL is that of this home's own server, as long as it runs."""
    record = read(folder())
    if record is None or not record.supervisor.alive:
        return False  # one that was stopped keeps its port in mind, and somebody else may have it
    return str(api).rstrip("/") == record.address.api


def read(home: Path) -> ServerRecord | None:
    """Return the record; one that is damaged is as good as none."""
    try:
        found = json.loads(_file(home).read_text())
        process = Process(found["pid"], found["started"])
        return ServerRecord(process, Address(found["host"], found["port"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def write(home: Path, record: ServerRecord) -> None:
    """Make this the record."""
    fields = {**asdict(record.supervisor), **asdict(record.address)}
    state.write_private(_file(home), json.dumps(fields))


def address(home: Path) -> Address:
    """Return where the server has to listen. Raises FileNotFoundError if nothing is recorded."""
    if record := read(home):
        return record.address
    raise FileNotFoundError(_file(home))


def choose(host: str, wanted: int | None, last: int | None) -> Address:
    """Return a free address: the wanted port, or else the last one, or else the first free one.

    Raises Unprepared if there is none.
    """
    if wanted:
        return _soon_free(Address(host, wanted))
    ports = [*filter(None, [last]), *range(FIRST_PORT, FIRST_PORT + PORTS)]
    for address in (Address(host, port) for port in ports):
        if is_free(address):
            return address
    raise _taken(f"no free port on {host} from {FIRST_PORT} to {ports[-1]}")


def _soon_free(address: Address) -> Address:
    """Return the address once it is free: the server that had it may still be ending."""
    what = f"{address.host}:{address.port}"
    try:
        polling.until(
            lambda: is_free(address) or None, f"{what} to be free", timeout=PORT_WAIT_SECONDS
        )
    except NotReady:
        raise _taken(f"address already in use: {what}") from None
    return address


def _taken(message: str) -> Unprepared:
    return Unprepared(message, step="Prefect server", hint="see what listens there: ss -ltnp")


def is_free(address: Address) -> bool:
    """Tell whether a server could listen there. Raises Unprepared if it is no address of ours."""
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    with socket.socket(family) as listener:
        # As the server itself binds: a port that only waits out closed connections is free.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((address.host, address.port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return False
            message = f"cannot listen on {address.host}:{address.port}: {error.strerror}"
            hint = "name an address of this machine, and a port that you may use"
            raise Unprepared(message, step="Prefect server", hint=hint) from None
    return True


def _file(home: Path) -> Path:
    return home / "server.json"
