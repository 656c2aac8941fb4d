"""Processes that outlive us or that we leave behind: start detached, recognise again, end."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from isthmus import polling
from isthmus.errors import NotReady

KILL_TIMEOUT = 5.0
"""Seconds after which even a killed process must be gone."""
STATE, PARENT, GROUP, STARTED = 0, 1, 2, 19
"""Where these fields are in /proc/<pid>/stat, counted after the name (proc_pid_stat(5))."""


@dataclass(frozen=True)
class Process:
    """A process, not to be mistaken for a later one with the same pid."""

    pid: int
    started: int
    """Clock ticks from boot to its start."""

    @property
    def alive(self) -> bool:
        """Whether it still runs; one that only waits to be reaped does not."""
        stat = _stat(self.pid)
        return bool(stat) and int(stat[STARTED]) == self.started and stat[STATE] not in "ZX"


def detach(
    argv: Sequence[str],
    log: Path,
    env: Mapping[str, str] | None = None,
    umask: int = -1,
    cwd: Path | None = None,
) -> Process:
    """Run a program in a session of its own, its output in `log` (0600)."""
    log.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with os.fdopen(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as output:
        child = subprocess.Popen(
            argv,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            umask=umask,
            cwd=cwd,
        )
    stat = _stat(child.pid)
    child.returncode = 0  # it is meant to outlive us: no warning that nobody waited for it
    return Process(child.pid, int(stat[STARTED]))


def start_cli(arguments: Sequence[str], log: Path) -> Process:
    """Run the command line with these arguments, detached."""
    return detach([sys.executable, "-P", "-m", "isthmus.cli.main", *arguments], log)


def terminate(process: Process, grace: float) -> None:
    """Make the process gone: asked first, killed after `grace` seconds.

    Raises NotReady if it stays.
    """
    with suppress(NotReady):
        return _signal(process, signal.SIGTERM, grace)
    _signal(process, signal.SIGKILL, KILL_TIMEOUT)


def terminate_children() -> None:
    """Ask every program that this process runs for itself to end.

    What has a session or group of its own (a server, a supervisor) was meant to stay, and stays.
    """
    _tell(_descendants(os.getpid()), signal.SIGTERM)


def signal_tree(pid: int, number: signal.Signals) -> None:
    """Send the signal to the process and to every program that it runs for itself.

    Never to its group as such: whoever started it may be in that, too.
    """
    _tell([pid, *_descendants(pid)], number)


def find_by_name(program: str) -> list[Process]:
    """Return every process of this machine that runs a program of this name, whoever started it."""
    return [process for pid in _pids() if (process := _running(pid, program))]


def _running(pid: int, program: str) -> Process | None:
    place = Path(f"/proc/{pid}")
    try:
        comm = (place / "comm").read_text().strip()
        arguments = (place / "cmdline").read_text(errors="replace").split("\0")
    except OSError:
        return None
    # The kernel keeps 15 characters of a name; a script's own stands after its interpreter's.
    same = comm == program[:15] and program in [Path(a).name for a in arguments[:2]]
    stat = _stat(pid)
    return Process(pid, int(stat[STARTED])) if same and stat else None


def _tell(pids: Iterable[int], number: signal.Signals) -> None:
    for pid in pids:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)


def _signal(process: Process, number: signal.Signals, patience: float) -> None:
    if process.alive:
        with suppress(ProcessLookupError):
            os.kill(process.pid, number)
        gone = f"process {process.pid} to exit"
        polling.until(lambda: None if process.alive else True, gone, timeout=patience)


def _descendants(pid: int) -> Iterator[int]:
    own, children = _group(pid), _children()
    level = children.get(pid, [])
    while level:
        same = [child for child in level if _group(child) == own]
        yield from same
        level = [grandchild for child in same for grandchild in children.get(child, [])]


def _group(pid: int) -> int | None:
    return int(stat[GROUP]) if (stat := _stat(pid)) else None


def _children() -> dict[int, list[int]]:
    found: dict[int, list[int]] = {}
    for pid in _pids():
        if stat := _stat(pid):
            found.setdefault(int(stat[PARENT]), []).append(pid)
    return found


def _pids() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").glob("[0-9]*")]


def _stat(pid: int) -> list[str]:
    try:
        text = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return []
    return text.rpartition(")")[2].split()  # the name before it may hold blanks and brackets
