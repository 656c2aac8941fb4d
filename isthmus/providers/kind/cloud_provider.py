"""cloud-provider-kind: one a machine, it gives the Services of all kind clusters their addresses.

When it ends it takes every load balancer along, whoever's it is (its pkg/controller/controller.go,
cleanup). So one that runs is used, and ours only ends when nobody needs it.
"""

import json
import shutil
from dataclasses import asdict
from pathlib import Path

from filelock import FileLock

from isthmus import events, polling, state
from isthmus.adapters import processes, shell
from isthmus.adapters.processes import Process
from isthmus.errors import Rejected, Unprepared
from isthmus.providers.kind import commands, records

PROGRAM = "cloud-provider-kind"
FLAG = "--gateway-channel"
"""Unless it is `disabled`, the Gateway API's kinds go into every kind cluster, a user's too."""
LOAD_BALANCER_TIMEOUT = 30.0
"""Seconds to remove load balancers; each takes one or two."""
INSTALL = f"go install sigs.k8s.io/{PROGRAM}@latest, and its folder onto PATH"


def is_running() -> bool:
    """Tell whether one is at work on this machine, on its own or in a container."""
    return bool(processes.find_by_name(PROGRAM))


def unavailable_reason() -> str:
    """Return why none can give addresses here, or nothing."""
    if is_running():
        return ""
    if not (program := shutil.which(PROGRAM)):
        return f"no {PROGRAM} on PATH, and none is running"
    if FLAG not in shell.run([program, "--help"]):
        return f"{program} is too old: it does not know {FLAG}"
    return ""


def ensure() -> None:
    """Make one run; its log is in the home folder. Raises Unprepared if there is no program."""
    with _lock():
        if is_running():
            return
        if not (program := shutil.which(PROGRAM)):
            raise Unprepared(unavailable_reason(), hint=INSTALL)
        command = [program, FLAG, "disabled"]
        log, env = _file("log"), commands.kind_environment()
        started = processes.detach(command, log, env, cwd=state.home())
        state.write_private(_file("json"), json.dumps(asdict(started)))


def remove_load_balancers(cluster: str) -> None:
    """Leave no load balancer of a cluster that is gone; cloud-provider-kind may be at it, too."""

    def gone() -> bool | None:
        if not (left := commands.load_balancers(cluster)):
            return True
        try:
            commands.remove(left)
        except Rejected as error:
            seen.append(error.message)
        return None

    seen = ["they still exist"]
    what = f"the load balancers of {cluster} to be deleted"
    polling.until(gone, what, timeout=LOAD_BALANCER_TIMEOUT, seen=lambda: seen[-1])


def stop_if_unused() -> None:
    """End the one that we started, unless somebody's clusters need it."""
    with _lock():
        if not (ours := _own_process()):
            return
        users = [*records.environments(), *commands.load_balancers()]
        if users:
            events.report_progress(f"{PROGRAM} is left running: needed by {', '.join(users)}")
            return
        processes.terminate(ours, LOAD_BALANCER_TIMEOUT)
        for suffix in ("json", "log"):
            _file(suffix).unlink(missing_ok=True)


def _own_process() -> Process | None:
    record = _file("json")
    process = Process(**json.loads(record.read_text())) if record.exists() else None
    return process if process and process.alive else None


def _file(suffix: str) -> Path:
    return state.home() / f"{PROGRAM}.{suffix}"


def _lock() -> FileLock:
    state.home().mkdir(parents=True, exist_ok=True, mode=0o700)
    return FileLock(_file("lock"))
