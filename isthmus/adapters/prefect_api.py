"""Our own Prefect server: the variables that its clients read, the few questions we ask ourselves.

Other servers are asked by Prefect's own client alone (isthmus.cli.prefect_client).

Prefect is not imported here: it reads its variables when it is, and that takes a second.
"""

import json
import urllib.request
from base64 import b64encode
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from isthmus.adapters import web_proxy

REACH_TIMEOUT = 5.0
"""Seconds."""
LOCAL = ("127.0.0.1", "localhost")
SHORT_REQUEST_TIMEOUT = 2.0
"""Seconds: said while a person waits for the prompt."""


@dataclass(frozen=True)
class PrefectApi:
    """A server's API, and what it wants to be shown."""

    url: str
    authorization: str = field(default="", repr=False)
    """Value of the header of that name."""

    def request(self, path: str, body: Any = None, timeout: float = REACH_TIMEOUT) -> Any:
        """Return the server's answer; GET, or POST if there is a body.

        Raises HTTPError for an answer that says no, another OSError if there is none.
        """
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url.rstrip('/')}{path}", data)
        request.add_header("Content-Type", "application/json")
        if self.authorization:
            request.add_header("Authorization", self.authorization)
        past_proxies = urllib.request.ProxyHandler({})
        with urllib.request.build_opener(past_proxies).open(request, timeout=timeout) as answer:
            return json.loads(answer.read() or b"null")

    def is_reachable(self) -> bool:
        """Tell whether it is there and knows us; another server at its address does not."""
        try:
            return bool(self.request("/admin/version", timeout=SHORT_REQUEST_TIMEOUT))
        except (OSError, ValueError):
            return False


def environment(api: str, home: Path) -> dict[str, str]:
    """Return the variables with which Prefect in this process uses that API, silently.

    No ephemeral server, no word on the terminal (the tree of steps owns it; logs still go to the
    API), no analytics, no proxy for this machine; results where only their owner can read them.
    """
    return {
        "PREFECT_API_URL": api,
        "DO_NOT_TRACK": "1",
        **web_proxy.no_proxy_variables(LOCAL),
        "PREFECT_SERVER_EPHEMERAL_ENABLED": "false",
        "PREFECT_RESULTS_LOCAL_STORAGE_PATH": str(home / "results"),
        "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",
        "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL",
        "PREFECT_LOGGING_HANDLERS_DEBUG_LEVEL": "CRITICAL",
    }


def own_server_api(url: str, pair: str) -> PrefectApi:
    """Return the API of a server of our own, which wants `user:password`."""
    return PrefectApi(url, _basic(pair))


def force(api: PrefectApi, run: str, state: str, why: str) -> None:
    """Put a flow run into this state, whatever its own is. Raises OSError as `request` does."""
    body = {"state": {"type": state, "message": why}, "force": True}
    api.request(f"/flow_runs/{run}/set_state", body, SHORT_REQUEST_TIMEOUT)


def list_paused(api: PrefectApi, pool: str) -> list[str]:
    """Return what keeps runs of the pool from beginning: it, or queues of it, that are paused."""
    try:
        found = api.request(f"/work_pools/{pool}")
        queues = api.request(f"/work_pools/{pool}/queues/filter", {})
    except (OSError, ValueError):
        return []  # there is no pool before the first worker made it
    named = [f"work queue {queue['name']}" for queue in queues if queue["is_paused"]]
    return [f"work pool {pool}", *named] if found["is_paused"] else named


def _basic(pair: str) -> str:
    return f"Basic {b64encode(pair.encode()).decode()}"
