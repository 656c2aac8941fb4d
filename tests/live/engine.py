"""The pipeline as its operators run it, seen from outside: runs given to the worker, and ended."""

import os
import signal
from dataclasses import dataclass
from pathlib import Path

from prefects import ask

from isthmus import polling

ENDS = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")
LONG = 600.0


@dataclass
class Engine:
    """Server, worker and deployments of one home."""

    home: Path
    isthmus: object
    """The command line, with that home."""

    def ask(self, path: str, body: object = None) -> object:
        return ask(self.home / "server", path, body)

    def begin(self, deployment: str, **parameters: object) -> "Run":
        """Start a run as the button in the pages does."""
        found = self.ask(f"/deployments/name/{deployment}/{deployment}")
        asked = {"parameters": parameters, "state": {"type": "SCHEDULED"}}
        return Run(self, self.ask(f"/deployments/{found['id']}/create_flow_run", asked)["id"])


@dataclass
class Run:
    """One flow run."""

    engine: Engine
    identity: str

    @property
    def state(self) -> dict:
        return self.engine.ask(f"/flow_runs/{self.identity}")["state"]

    def set(self, kind: str, name: str) -> None:
        """Set its state, as the buttons Cancel and Retry in the pages do."""
        state = {"type": kind, "name": name}
        self.engine.ask(f"/flow_runs/{self.identity}/set_state", {"state": state, "force": True})

    def steps(self) -> dict[str, str]:
        """Return the last state of each step, by name, as the pages show it."""
        asked = {"flow_runs": {"id": {"any_": [self.identity]}}, "sort": "EXPECTED_START_TIME_ASC"}
        return {s["name"]: s["state_name"] for s in self.engine.ask("/task_runs/filter", asked)}

    def until_done(self, *steps: str) -> None:
        """Wait until these steps have ended well."""

        def there() -> bool | None:
            assert self.state["type"] not in ENDS, self.state
            done = {name for name, state in self.steps().items() if state == "Completed"}
            return True if done >= set(steps) else None

        polling.until(there, f"{steps} of run {self.identity}", timeout=LONG, interval=0.3)

    def named(self, name: str) -> dict:
        """Return its state once that is called so."""
        return polling.until(
            lambda: self.state if self.state["name"] == name else None,
            f"state {name} of run {self.identity}",
            timeout=LONG,
            interval=0.3,
            seen=lambda: str(self.state),
        )

    def retry(self) -> None:
        """Press Retry until it runs again: a worker may report a crash twice, a second apart."""

        def again() -> bool | None:
            run = self.engine.ask(f"/flow_runs/{self.identity}")
            if run["state"]["type"] == "CRASHED" and run["run_count"] == 1:
                self.set("SCHEDULED", "AwaitingRetry")
            return True if run["run_count"] > 1 else None

        polling.until(again, f"run {self.identity} again", timeout=LONG, interval=2)

    def end(self) -> dict:
        return polling.until(
            lambda: self.state if self.state["type"] in ENDS else None,
            f"the end of run {self.identity}",
            timeout=LONG,
            interval=0.3,
        )

    def processes(self) -> list[int]:
        """Return the pids of its processes, children included; a region's do not carry its mark."""
        mark = f"PREFECT__FLOW_RUN_ID={self.identity}".encode()
        return [pid for pid in _pids() if mark in _environment(pid)]

    def kill(self) -> None:
        """Kill its process on the spot, as the kernel does when memory runs out."""
        for pid in self.processes():
            os.kill(pid, signal.SIGKILL)


def _pids() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").glob("[0-9]*")]


def _environment(pid: int) -> list[bytes]:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return []
