"""Prefect seen from its client: the variables it reads, the few questions we ask ourselves.

Prefect is not imported here: it reads its variables when it is, and that takes a second.
"""

import json
import os
import urllib.error
import urllib.request
from base64 import b64encode
from contextlib import suppress
from pathlib import Path
from typing import Any

from isthmus.errors import Unprepared

REACH_TIMEOUT = 5.0
"""Seconds for a server that may be on another machine."""
LAST_WORD_TIMEOUT = 2.0
"""Seconds: said while a person waits for the prompt."""


def environment(api: str, home: Path) -> dict[str, str]:
    """Return the variables with which Prefect in this process uses that API, silently.

    No ephemeral server, no word on the terminal (the tree of steps owns it; logs still go to the
    API), no analytics, no proxy for this machine; results where only their owner can read them.
    """
    around = ",".join(filter(None, [os.environ.get("NO_PROXY"), "127.0.0.1,localhost"]))
    return {
        "PREFECT_API_URL": api,
        "DO_NOT_TRACK": "1",
        "NO_PROXY": around,
        "no_proxy": around,
        "PREFECT_SERVER_EPHEMERAL_ENABLED": "false",
        "PREFECT_RESULTS_LOCAL_STORAGE_PATH": str(home / "results"),
        "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",
        "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL",
        "PREFECT_LOGGING_HANDLERS_DEBUG_LEVEL": "CRITICAL",
    }


def check(api: str) -> None:
    """Raise Unprepared if nothing answers there; an answer that says no is an answer."""
    try:
        _ask(f"{api.rstrip('/')}/health", None, REACH_TIMEOUT)
    except urllib.error.HTTPError:
        return
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        message = f"no Prefect server answers at {api} (PREFECT_API_URL): {reason}"
        hint = "start it, or use isthmus' own: unset PREFECT_API_URL"
        raise Unprepared(message, step="Prefect server", hint=hint) from None


def cancel(api: str, tag: str, why: str) -> None:
    """Mark the unfinished flow runs with this tag as cancelled; a server that is gone is fine."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        unfinished = {"type": {"any_": ["PENDING", "RUNNING"]}}
        runs = {"flow_runs": {"tags": {"all_": [tag]}, "state": unfinished}}
        for run in _ask(f"{api}/flow_runs/filter", runs, LAST_WORD_TIMEOUT):
            cancelled = {"state": {"type": "CANCELLED", "message": why}, "force": True}
            _ask(f"{api}/flow_runs/{run['id']}/set_state", cancelled, LAST_WORD_TIMEOUT)


def _ask(url: str, body: Any, timeout: float) -> Any:
    headers = {"Content-Type": "application/json", **_authorization()}
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, headers)
    with urllib.request.urlopen(request, timeout=timeout) as answer:
        return json.loads(answer.read() or b"null")


def _authorization() -> dict[str, str]:
    if pair := os.environ.get("PREFECT_API_AUTH_STRING"):
        return {"Authorization": f"Basic {b64encode(pair.encode()).decode()}"}
    if key := os.environ.get("PREFECT_API_KEY"):
        return {"Authorization": f"Bearer {key}"}
    return {}
