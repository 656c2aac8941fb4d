"""supervisord: what it is told to keep alive, and talking to it.

A region's programs and the Prefect server with its worker are kept alive in the same way.
"""

import configparser
import io
import os
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from xmlrpc.client import Fault, ServerProxy

from supervisor.xmlrpc import SupervisorTransport

from isthmus import polling

FOR_EVER = "1000000"
"""Starts that fail in a row before it gives a program up; the pauses between them grow."""
STARTED = "5"
"""Seconds that a program must run: one that ends sooner is started again after a pause, and each
pause is a second longer (supervisor/process.py, Subprocess.transition)."""
HALT_TIMEOUT = 60.0
"""Seconds."""
Section = Mapping[str, str]


def configuration(folder: Path, socket: str, log: Path, programs: Mapping[str, Section]) -> str:
    """Return the configuration of a supervisor with its process id in `folder`; logs are small."""
    config = configparser.RawConfigParser()
    config["unix_http_server"] = {"file": socket, "chmod": "0700"}
    config["supervisord"] = {
        "nodaemon": "true",
        "silent": "true",
        "logfile": str(log),
        "logfile_maxbytes": "1MB",
        "logfile_backups": "1",
        "pidfile": f"{folder}/supervisor.pid",
        "childlogdir": str(log.parent),
        "umask": "077",
        # It warns of root's rights unless it is told to keep them.
        **({"user": "root"} if os.geteuid() == 0 else {}),
    }
    config["rpcinterface:supervisor"] = {
        "supervisor.rpcinterface_factory": "supervisor.rpcinterface:make_main_rpcinterface"
    }
    for name, section in programs.items():
        config[f"program:{name}"] = section
    text = io.StringIO()
    config.write(text)
    return text.getvalue()


def program(command: Sequence[str], log: Path, **options: str) -> Section:
    """Return what the supervisor must know of one program; it is started again when it ends."""
    return {
        "command": shlex.join(command).replace("%", "%%"),
        "autostart": "false",
        "autorestart": "true",
        "startsecs": STARTED,
        "startretries": FOR_EVER,
        "redirect_stderr": "true",
        "stdout_logfile": str(log),
        "stdout_logfile_maxbytes": "10MB",
        "stdout_logfile_backups": "1",
        **options,
    }


def rpc_client(socket: str) -> ServerProxy:
    """Return what one calls to have the supervisor behind this socket do something."""
    return ServerProxy(
        "http://supervisor", transport=SupervisorTransport("", "", f"unix://{socket}")
    )


def start_program(supervisor: ServerProxy, name: str) -> None:
    """Make the program run; one that runs already is left alone. Raises Fault if it cannot."""
    _unless("ALREADY_STARTED", supervisor.supervisor.startProcess, name, False)


def stop_program(supervisor: ServerProxy, name: str) -> None:
    """Make the program end and stay so; one that does not run is no error.

    Raises NotReady if it does not end, though it is killed after its `stopwaitsecs`.
    """
    _unless("NOT_RUNNING", supervisor.supervisor.stopProcess, name, False)

    def ended() -> bool | None:
        info: Any = supervisor.supervisor.getProcessInfo(name)
        return None if info["statename"] == "STOPPING" else True

    # Asked often: it looks after its programs when it is spoken to, and else once a second.
    polling.until(ended, f"program {name} to stop", timeout=HALT_TIMEOUT, interval=0.05)


def _unless(harmless: str, call: object, *arguments: object) -> None:
    try:
        call(*arguments)  # type: ignore[operator]
    except Fault as fault:
        if harmless not in fault.faultString:
            raise
