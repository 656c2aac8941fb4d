"""The supervisor of the Prefect server and its worker: started, asked, ended."""

import resource
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xmlrpc.client import Error, ServerProxy

from isthmus import polling, state
from isthmus.adapters import prefect_database, processes, subprocess_env, supervisord
from isthmus.adapters.prefect_record import ServerRecord
from isthmus.adapters.processes import Process
from isthmus.errors import NotReady, Unprepared

PROGRAMS = ("server", "worker")
SOCKET = "/proc/self/cwd/supervisor.sock"
"""As the supervisor sees it; whatever the folder's path is, this is short enough for a socket."""
START_TIMEOUT = 30.0
"""Seconds; it needs 0.3."""
FILES = 1024
"""What supervisord asks of the system before it does anything (its minfds)."""
STOP_GRACE = 10
"""Seconds that a program may take to end by itself; the server needs about 3."""
LIVING = ("STARTING", "RUNNING")


@dataclass(frozen=True)
class SupervisedProgram:
    """A program as the supervisor sees it now."""

    state: str
    pid: int

    @property
    def is_running(self) -> bool:
        """Whether it runs; not if it only will be started again."""
        return self.state in LIVING


def start(home: Path) -> Process:
    """Run a supervisor, detached; none of its programs is started yet.

    Raises Unprepared if it could not open the files that it wants.
    """
    if -1 < (files := resource.getrlimit(resource.RLIMIT_NOFILE)[1]) < FILES:
        message = f"the limit on open files is {files}, and its supervisor wants {FILES}"
        raise Unprepared(message, step="Prefect server", hint=f"ulimit -Hn {FILES}, or more")
    state.write_private(home / "supervisord.conf", _configuration(home))
    (home / "supervisor.sock").unlink(missing_ok=True)
    command = [sys.executable, "-m", "supervisor.supervisord", "-n", "-c", "supervisord.conf"]
    secret = prefect_database.VARIABLE
    around = {k: v for k, v in subprocess_env.for_own_python().items() if k != secret}
    return processes.detach(command, home / "supervisor.out", around, umask=0o077, cwd=home)


def connect_supervisor(process: Process) -> ServerProxy:
    """Return what one calls to have it do something. Raises Unprepared if it does not answer."""

    def answers() -> ServerProxy | None:
        if not process.alive:
            raise Unprepared("its supervisor (supervisord) exited", step="Prefect server")
        proxy = _proxy(process)  # a new one each time: one that could not connect never will
        try:
            proxy.supervisor.getPID()
        except OSError:
            return None
        return proxy

    try:
        return polling.until(
            answers, "its supervisor to answer", timeout=START_TIMEOUT, interval=0.05
        )
    except NotReady as error:
        hint = "isthmus server stop"
        raise Unprepared(error.message, step="Prefect server", hint=hint) from None


def get_program(record: ServerRecord, name: str) -> SupervisedProgram:
    """Return the program's state; one whose supervisor is away does not run."""
    try:
        if record.supervisor.alive:
            info: Any = _proxy(record.supervisor).supervisor.getProcessInfo(name)
            return SupervisedProgram(info["statename"], info["pid"])
    except (OSError, Error):
        pass
    return SupervisedProgram("UNKNOWN", 0)


def is_running(record: ServerRecord, name: str) -> bool:
    """Tell whether the program runs."""
    return get_program(record, name).is_running


def shut_down(record: ServerRecord) -> None:
    """Make the server gone, and the supervisor with what is left. Raises NotReady if one stays."""
    with suppress(Unprepared, OSError):  # one that does not answer is ended all the same
        proxy = connect_supervisor(record.supervisor)
        supervisord.stop_program(proxy, "server")
        proxy.supervisor.shutdown()  # heard at once; a signal is looked at once a second
    processes.terminate(record.supervisor, 2.0 * STOP_GRACE)


def log(home: Path, name: str) -> Path:
    """Return where a program writes its log."""
    return home / f"{name}.log"


def _proxy(process: Process) -> ServerProxy:
    # Through its own working directory: the path from outside may be too long for a socket.
    return supervisord.rpc_client(f"/proc/{process.pid}/cwd/supervisor.sock")


def _configuration(home: Path) -> str:
    sections = {
        name: supervisord.program(
            _command(name, home),
            log(home, name),
            # Who ends sooner than that after its start has failed, and is not tried at once again.
            startsecs="10",
            stopwaitsecs=str(STOP_GRACE),
        )
        for name in PROGRAMS
    }
    return supervisord.configuration(home, SOCKET, home / "supervisor.log", sections)


def _command(name: str, home: Path) -> list[str]:
    return [sys.executable, "-m", "isthmus.adapters.prefect_program", name, str(home)]
