"""Flow runs that the worker started on this machine: found by their processes, ended if need be."""

import signal
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from isthmus import polling
from isthmus.adapters import processes
from isthmus.adapters.prefect_api import PrefectApi, force
from isthmus.errors import NotReady

TERMINATE_SECONDS = 10.0
"""Seconds in which a run that is asked to end may say so to the server and clean up."""
REPORT_TIMEOUT = 15.0
"""Seconds; SQLite lets the server answer 503 for moments."""
UNFINISHED = ("PENDING", "RUNNING", "CANCELLING")


@dataclass(frozen=True)
class FlowRunProcess:
    """A flow run and its process, which may share a group with its worker."""

    id: str
    pid: int

    @property
    def alive(self) -> bool:
        """Whether its process still is that of this run."""
        return _variable(self.pid, "PREFECT__FLOW_RUN_ID") == self.id


def find_running(api: PrefectApi) -> list[FlowRunProcess]:
    """Return the runs of this server whose processes run here, whoever their worker was."""
    return [run for run in _engines() if _variable(run.pid, "PREFECT_API_URL") == api.url]


def names(api: PrefectApi, runs: Sequence[FlowRunProcess]) -> list[str]:
    """Return what the server calls these runs; their identities if it does not answer."""
    wanted = {"flow_runs": {"id": {"any_": [run.id for run in runs]}}}
    try:
        return sorted(found["name"] for found in api.request("/flow_runs/filter", wanted))
    except (OSError, ValueError):
        return [run.id for run in runs]


def end_runs(api: PrefectApi, runs: Sequence[FlowRunProcess], why: str) -> None:
    """Make the runs' processes gone, and no run of them unfinished in the server's eyes."""
    for number, patience in (
        (signal.SIGTERM, TERMINATE_SECONDS),
        (signal.SIGKILL, TERMINATE_SECONDS),
    ):
        for run in runs:
            if run.alive:
                processes.signal_tree(run.pid, number)
        with suppress(NotReady):
            polling.until(lambda: _none_alive(runs), "the runs to exit", timeout=patience)
            break
    with suppress(NotReady):
        polling.until(
            lambda: _crashed(api, runs, why),
            "the Prefect server to record the runs as crashed",
            timeout=REPORT_TIMEOUT,
        )


def _none_alive(runs: Sequence[FlowRunProcess]) -> bool | None:
    return None if any(run.alive for run in runs) else True


def _crashed(api: PrefectApi, runs: Sequence[FlowRunProcess], why: str) -> bool | None:
    wanted = {"flow_runs": {"id": {"any_": [run.id for run in runs]}}}
    try:
        for found in api.request("/flow_runs/filter", wanted):
            if found["state_type"] in UNFINISHED:
                force(api, found["id"], "CRASHED", why)
    except (OSError, ValueError):
        return None
    return True


def _engines() -> Iterator[FlowRunProcess]:
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            # By its arguments, too: what a run leaves behind, as a region, has its variables.
            if b"prefect.engine" in (entry / "cmdline").read_bytes().split(b"\0"):
                pid = int(entry.name)
                if run := _variable(pid, "PREFECT__FLOW_RUN_ID"):
                    yield FlowRunProcess(run, pid)


def _variable(pid: int, name: str) -> str:
    try:
        block = Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return ""
    pairs = (pair.split(b"=", 1) for pair in block.split(b"\0") if b"=" in pair)
    return next((value.decode() for key, value in pairs if key.decode() == name), "")
