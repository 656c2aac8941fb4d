"""Runs that are stopped in the middle, or under which something else is."""

import os
import signal
import subprocess
import time
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


def kill_under(
    process: subprocess.Popen[str], program: str, word: str, folder: Path, name: str
) -> bool:
    """Kill a region's program as soon as the run's own one is at work; tell whether it still is.

    `word` is one of the run's program's arguments.
    """
    [victim] = _named(region_of(folder), name)
    while not (ours := _named(process.pid, program, word)):
        assert process.poll() is None, f"the run ended without {program} {word}"
        time.sleep(0.01)
    os.kill(victim, signal.SIGKILL)
    return bool(_words(ours[0]))


def region_of(folder: Path) -> int:
    from isthmus.providers.lab import region

    return region.find_supervisor(_Folder(folder))


def _named(above: int, program: str, word: str = "") -> list[int]:
    """Return the processes below one that run this program, with this argument if one is given."""
    all_of_them = [int(p.name) for p in Path("/proc").iterdir() if p.name.isdigit()]
    found = [(pid, words) for pid in all_of_them if (words := _words(pid))]
    named = [pid for pid, words in found if words[0].endswith(program) and word in ["", *words]]
    return [pid for pid in named if above in ancestors(pid)]


def _words(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().split("\0")[:-1]
    except (OSError, UnicodeDecodeError):
        return []


def ancestors(pid: int) -> list[int]:
    found = []
    while pid > 1:
        try:
            pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            break
        found.append(pid)
    return found


class _Folder:
    def __init__(self, folder) -> None:
        self.folder = folder
