"""The last step before the Prefect server or its worker: the process becomes it.

`python -m isthmus.adapters.prefect_program server|worker HOME`, run by the supervisor at each
start. So secrets go from their files into the program's environment and nowhere else, and what was
chosen since the last start holds.
"""

import ctypes
import os
import signal
import sys
from pathlib import Path

from isthmus import polling
from isthmus.adapters import prefect_api, prefect_record, prefect_settings
from isthmus.adapters.prefect_settings import PAGES

PARENT_DEATH_SIGNAL = 1
"""PR_SET_PDEATHSIG of prctl(2)."""
SERVER_WAIT_SECONDS = 600.0
"""Seconds that the worker waits for the server; it is started again after that."""


def main() -> None:
    """Become the program, with its environment."""
    _end_with_supervisor()
    name, home = sys.argv[1], Path(sys.argv[2])
    address = prefect_record.address(home)
    arguments, variables = {"server": _server, "worker": _worker}[name](home, address)
    command = [sys.executable, "-m", "prefect", "--no-prompt", *arguments]
    os.execve(sys.executable, command, variables)


def _server(home: Path, address: prefect_record.Address) -> tuple[list[str], dict[str, str]]:
    place = ["--host", address.host, "--port", str(address.port)]
    variables = prefect_settings.server(home)
    return ["server", "start", *place], {
        **variables,
        "PREFECT_UI_URL": f"{address.ui_url}{PAGES}",
    }


def _worker(home: Path, address: prefect_record.Address) -> tuple[list[str], dict[str, str]]:
    api = prefect_api.own_server_api(address.api, prefect_settings.auth(home))
    polling.until(
        lambda: api.is_reachable() or None, f"{address.api} to answer", timeout=SERVER_WAIT_SECONDS
    )
    limit = prefect_settings.options(home).limit
    name = prefect_settings.worker_name()
    what = ["--pool", prefect_settings.WORK_POOL, "--type", "process", "--name", name]
    variables = prefect_settings.worker(home, address.api)
    arguments = ["worker", "start", *what, "--limit", str(limit)]
    return arguments, {**variables, "PREFECT_UI_URL": f"{address.ui_url}{PAGES}"}


def _end_with_supervisor() -> None:
    """End on the spot when the supervisor does: nobody would look after what it left.

    Killed and not asked: a worker that is asked takes its runs with it, and they need not end.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(PARENT_DEATH_SIGNAL, signal.SIGKILL, 0, 0, 0)


if __name__ == "__main__":
    main()
