"""What our own Prefect server, its worker and its clients are told, and where its secrets lie.

Secrets are in files that only their owner can read and in the environment of the programs that need
them; in no argument and no configuration.
"""

import json
import os
import platform
import secrets
import shlex
import sys
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cryptography.fernet import Fernet

from isthmus import state
from isthmus.adapters import prefect_api, prefect_database, subprocess_env, web_proxy
from isthmus.errors import Unprepared

PAGES = "/v2"
"""The second generation of Prefect's pages: only these draw; Prefect's links lead to the first."""
WORK_POOL = "isthmus"
"""The work pool whose runs the worker takes."""
LOOPBACK = "127.0.0.1"
RETENTION_DAYS = "ISTHMUS_RETENTION_DAYS"
DAYS = 90
"""For how long ended runs are kept unless that variable says otherwise."""
DAY = 86400

SERVER = {
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
    # Asked at the address where the page came from, whichever name of this machine that was.
    "PREFECT_UI_API_URL": "/api",
    "PREFECT_SERVER_EPHEMERAL_ENABLED": "false",
    # Leases kept in memory would be lost with a restart, and their runs with them.
    "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": (
        "prefect.server.concurrency.lease_storage.filesystem"
    ),
    # Seconds until a run that a deployment's limit keeps waiting is looked at again; 30 otherwise.
    "PREFECT_SERVER_DEPLOYMENTS_CONCURRENCY_SLOT_WAIT_SECONDS": "5",
    "PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED": "events,flow_runs",
}
WORKER = {
    # Seconds between two looks for work: from the click to the first step 6 may pass, and a run's
    # process needs 3 of them to begin.
    "PREFECT_WORKER_QUERY_SECONDS": "1",
    "PREFECT_WORKER_HEARTBEAT_SECONDS": "30",
    # The automation that finds runs which no longer live waits for 75.
    "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30",
    "PREFECT_LOGGING_EXTRA_LOGGERS": "isthmus",
}


@dataclass(frozen=True)
class Options:
    """What a person chose for the server; remembered until they choose otherwise."""

    host: str = LOOPBACK
    """Address that it listens on."""
    port: int | None = None
    """None: the first that is free."""
    limit: int = 0
    """Runs that the worker carries at once."""

    def changed(self, **choices: Any) -> "Options":
        """Return the same with these choices made; None chooses nothing."""
        return replace(self, **{k: v for k, v in choices.items() if v is not None})


def limit() -> int:
    """Return how many runs at once are right for this machine.

    One a core, as a run that builds a lab keeps one busy; two at least, so that a run that waits
    for its turn does not hold up every other.
    """
    return max(2, os.cpu_count() or 1)


def worker_name() -> str:
    """Return what the worker on this machine is called."""
    return platform.node()


def options(home: Path) -> Options:
    """Return what was chosen last, or else what is right for a first start."""
    try:
        return Options(**json.loads((home / "options.json").read_text()))
    except (OSError, ValueError, TypeError):
        return Options(limit=limit())


def remember(home: Path, chosen: Options) -> None:
    """Make later starts use these options."""
    state.write_private(home / "options.json", json.dumps(asdict(chosen)))


def auth_file(home: Path) -> Path:
    """Return the file of the user and password that the server asks for."""
    return home / "auth"


def auth(home: Path) -> str:
    """Return user and password of the server, as `user:password`; made once."""
    return _kept(auth_file(home), f"isthmus:{secrets.token_urlsafe(24)}")


def client(home: Path, api: str) -> dict[str, str]:
    """Return the variables with which Prefect uses our own server, silently."""
    around = web_proxy.no_proxy_variables([*prefect_api.LOCAL, urlsplit(api).hostname or LOOPBACK])
    own = {"PREFECT_HOME": str(home), "PREFECT_API_AUTH_STRING": auth(home)}
    return {**prefect_api.environment(api, home), **around, **own}


def server(home: Path) -> dict[str, str]:
    """Return the server's environment; what the user set for another Prefect is left out."""
    return {
        **_inherited(),
        **SERVER,
        "PREFECT_HOME": str(home),
        "PREFECT_UI_STATIC_DIRECTORY": str(home / "ui"),
        "PREFECT_SERVER_DATABASE_CONNECTION_URL": prefect_database.url(home),
        "PREFECT_SERVER_API_AUTH_STRING": auth(home),
        "PREFECT_SERVER_ENCRYPTION_KEY": _kept(home / "encryption.key", _new_key()),
        "PREFECT_SERVER_SERVICES_DB_VACUUM_RETENTION_PERIOD": str(retention_days() * DAY),
    }


def worker(home: Path, api: str) -> dict[str, str]:
    """Return the environment of the worker and of the runs that it starts."""
    # What it prints is a log: Prefect's own choice of what goes there is right.
    ours = {k: v for k, v in client(home, api).items() if "_HANDLERS_" not in k}
    places = {"ISTHMUS_HOME": str(state.home()), "ISTHMUS_CACHE": str(state.cache())}
    # Prefect's worker keeps files in a folder of a fixed name there, which may be somebody else's.
    places |= {"TMPDIR": str(_temporary(home))}
    path = f"{Path(sys.executable).parent}:{subprocess_env.path()}"
    return {**_inherited(), **ours, **WORKER, **places, "PATH": path}


def shell_file(home: Path) -> Path:
    """Return the file that a person sources to use Prefect's own command line."""
    return home / "prefect.env"


def write_for_a_shell(home: Path, api: str) -> None:
    """Make that file say how this API is reached."""
    names = ("PREFECT_API_URL", "PREFECT_API_AUTH_STRING", "PREFECT_HOME", "DO_NOT_TRACK")
    variables = client(home, api)
    lines = [f"export {name}={shlex.quote(variables[name])}\n" for name in names]
    state.write_private(shell_file(home), "".join(lines))


def retention_days() -> int:
    """Return for how many days runs that have ended are kept.

    Raises Unprepared if the variable is not a number of days.
    """
    text = os.environ.get(RETENTION_DAYS) or str(DAYS)
    if not text.isdecimal() or int(text) == 0:
        message = f"{RETENTION_DAYS} is not a number of days: {text!r}"
        hint = f"unset it ({DAYS} days), or set it to 1 or more"
        raise Unprepared(message, step="Prefect server", hint=hint)
    return int(text)


def _inherited() -> dict[str, str]:
    secret = prefect_database.VARIABLE
    own = subprocess_env.for_own_python()
    return {k: v for k, v in own.items() if not k.startswith("PREFECT_") and k != secret}


def _temporary(home: Path) -> Path:
    folder = home / "tmp"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder


def _kept(file: Path, new: str) -> str:
    """Return the file's text; what is not there yet is made, for its owner alone."""
    if not file.exists():
        state.write_private(file, new)
    return file.read_text().strip()


def _new_key() -> str:
    return Fernet.generate_key().decode()
