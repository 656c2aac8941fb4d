"""Runs that are stopped in the middle, or under which something else is."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path


def until_step(process: subprocess.Popen[str], steps: int) -> list[str]:
    """Read the run's progress until so many steps have ended."""
    seen: list[str] = []
    for line in process.stderr:
        seen.append(line)
        if sum(" ok " in text for text in seen) >= steps:
            break
    return seen


def until_done(process: subprocess.Popen[str], step: str, cluster: str) -> None:
    """Read the run's progress until this step has ended."""
    for line in process.stderr:
        if " ok " in line and f" {step}  {cluster}" in line:
            return
    raise AssertionError(f"the run ended without {step}")


def end_region(folder) -> None:
    subprocess.run(["kill", "-9", str(region_of(folder))], check=True)


def kill_under(process: subprocess.Popen[str], program: str, folder: Path, name: str) -> bool:
    """Kill a region's program as soon as the run's own one is at work; tell whether it still is."""
    while not (ours := _named(process.pid, program)):
        assert process.poll() is None, f"the run ended without {program}"
        time.sleep(0.02)
    [victim] = _named(region_of(folder), name)
    os.kill(victim, signal.SIGKILL)
    return _program(ours[0]) == program


def region_of(folder: Path) -> int:
    from isthmus.providers.lab import region

    return region.supervisor(_Folder(folder))


def _named(parent: int, name: str) -> list[int]:
    """Return the processes below one whose program has this name."""
    return [pid for pid in _below(parent) if _program(pid) == name]


def _below(parent: int) -> Iterator[int]:
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and _parent(entry) == parent:
            yield int(entry.name)
            yield from _below(int(entry.name))


def _parent(process: Path) -> int | None:
    try:
        return int((process / "stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return None


def _program(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0].decode().rpartition("/")[2]
    except OSError:
        return ""


class _Folder:
    def __init__(self, folder) -> None:
        self.folder = folder
