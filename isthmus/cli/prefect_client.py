"""A Prefect server asked by Prefect's own client: with its CA, headers, key, proxy and prefix.

Prefect is imported here only when it is asked: it reads its variables when it is.
"""

import importlib
import io
import os
import re
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, suppress
from pathlib import Path
from typing import Any, TextIO

from isthmus import polling
from isthmus.adapters import web_proxy
from isthmus.errors import IsthmusError, Unprepared

STEP = "Prefect server"
CANCEL_TIMEOUT = 2.0
"""Seconds: said while a person waits for the prompt."""
UNFINISHED = ("PENDING", "RUNNING", "CANCELLING")
CA = "PREFECT_API_SSL_CERT_FILE"
KEYS = "PREFECT_API_KEY, PREFECT_API_AUTH_STRING and PREFECT_CLIENT_CUSTOM_HEADERS"


class _MutedStream(io.TextIOBase):
    """Standard error without what this thread says: others may have to tell of a signal."""

    def __init__(self, stream: TextIO) -> None:
        self._stream, self._thread = stream, threading.get_ident()

    def write(self, text: str) -> int:
        return len(text) if threading.get_ident() == self._thread else self._stream.write(text)

    def flush(self) -> None:
        self._stream.flush()

    def isatty(self) -> bool:
        return self._stream.isatty()


def load() -> Any:
    """Return Prefect's settings module; raises Unprepared, with its name, for a wrong setting."""
    try:
        with redirect_stderr(_MutedStream(sys.stderr)):  # it prints what we say in our words
            importlib.import_module("prefect")
        settings = importlib.import_module("prefect.settings")
        settings.get_current_settings()
        return settings
    except ImportError:
        raise
    except Exception as error:  # pydantic's, tomllib's and Prefect's own have no common base
        raise _settings_error(error) from None


def check(api: str) -> None:
    """Raise Unprepared if no Prefect server answers there, or it refuses us."""
    _check_certificates()
    web_proxy.proxy_for(api)  # raises if it needs a proxy that cannot be used
    load()
    try:
        with _client(polling.timeouts().prefect, api) as client:
            error = client.api_healthcheck()
    except Exception as raised:  # an address that is none, too
        error = raised
    if error is not None:
        raise _unreachable_error(api, error)


def cancel(tag: str, why: str) -> None:
    """Mark the unfinished flow runs with this tag as cancelled; a server that is gone is fine."""
    if "prefect.client.orchestration" not in sys.modules:
        return  # then it has heard of no run
    with suppress(Exception), _client(CANCEL_TIMEOUT) as client:
        filters = importlib.import_module("prefect.client.schemas.filters")
        states = importlib.import_module("prefect.states")
        wanted = filters.FlowRunFilter.model_validate(
            {"tags": {"all_": [tag]}, "state": {"type": {"any_": UNFINISHED}}}
        )
        for run in client.read_flow_runs(flow_run_filter=wanted):
            client.set_flow_run_state(run.id, states.Cancelled(message=why), force=True)


@contextmanager
def _client(timeout: float, api: str = "") -> Iterator[Any]:
    settings = load()
    chosen = {settings.PREFECT_CLIENT_MAX_RETRIES: 0}
    chosen |= {settings.PREFECT_API_URL: api} if api else {}
    made = importlib.import_module("prefect.client.orchestration").get_client
    # One look: whoever is not there now is told of now.
    with (
        settings.temporary_settings(chosen),
        made(sync_client=True, httpx_settings={"timeout": timeout}) as client,
    ):
        yield client


def _check_certificates() -> None:
    path = os.environ.get(CA, "")
    if path and not Path(path).expanduser().is_file():
        hint = f"name the file of the CA that signed the server's certificate, or unset {CA}"
        raise Unprepared(f"{path} ({CA}): no such file", step=STEP, hint=hint)


def _unreachable_error(api: str, error: Exception) -> IsthmusError:
    status = getattr(getattr(error, "response", None), "status_code", None)
    if status in (401, 403):
        message = f"the Prefect server at {api} (PREFECT_API_URL) answered HTTP {status}"
        return Unprepared(message, step=STEP, hint=f"look at {KEYS}")
    said = f"HTTP {status}" if status else str(error) or type(error).__name__
    message = f"no Prefect server answers at {api} (PREFECT_API_URL): {said}"
    hint = "start it, or use isthmus' own: unset PREFECT_API_URL"
    if "CERTIFICATE_VERIFY_FAILED" in said:
        hint = f"name the file of the CA that signed the server's certificate: {CA}=FILE"
    elif name := web_proxy.variable(api):
        hint = f"it is asked through the proxy in {name}; or {hint}"
    return Unprepared(message, step=STEP, hint=hint)


def _settings_error(error: Exception) -> Unprepared:
    """Return what a wrong setting of a person's own is told as, without its value."""
    found: list[Any] = getattr(error, "errors", list)()
    fields = [str(part["loc"][-1]) for part in found if part.get("loc")]
    fields += re.findall(r'field "(\w+)"', str(error))
    names = [n for n in os.environ if any(n.lower().endswith(f"_{field}") for field in fields)]
    ours = [name for name in names if name.startswith("PREFECT_")]
    where = ", ".join(sorted(ours)) or f"{_profiles()}: {', '.join(fields) or error}"
    why = found[0]["msg"] if found else "it cannot be read"
    message = f"invalid Prefect setting: {where}: {why}"
    return Unprepared(message, step=STEP, hint="correct it, or unset it")


def _profiles() -> str:
    home = os.environ.get("PREFECT_HOME") or "~/.prefect"
    return os.environ.get("PREFECT_PROFILES_PATH") or f"{home}/profiles.toml"
