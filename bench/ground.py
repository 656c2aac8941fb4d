"""The ground that all are measured on: the machine at rest, a folder, one way to measure."""

import os
import platform
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from isthmus import polling, state
from isthmus.errors import NotReady

QUIET = 1.0
"""Load average of the last minute below which nothing else can be at work."""
PATIENCE = 120.0
"""Seconds to wait for it."""
LOOK = 0.1
"""Seconds from one look at a command's memory to the next."""
FOLDER = "isthmus-bench-"
BUSY = (0, 1, 2, 5, 6)
"""Columns of /proc/stat: user, nice, system, irq, softirq (man 5 proc)."""


@dataclass(frozen=True)
class Cost:
    """What something took: seconds by the clock, and CPU seconds of the whole machine.

    Of the whole machine, because a region's programs are no children of whoever starts them.
    """

    seconds: float
    cpu: float


class Meter:
    """Measures from when it is made."""

    def __init__(self) -> None:
        self._start, self._cpu = time.monotonic(), machine_cpu()

    def seconds(self) -> float:
        """Return the seconds so far."""
        return time.monotonic() - self._start

    def cost(self) -> Cost:
        """Return the cost so far."""
        return Cost(self.seconds(), machine_cpu() - self._cpu)


def watched(command: list[str], variables: Mapping[str, str]) -> tuple[int, str, int]:
    """Run a command; return its exit code, what it printed, and the most memory that it had.

    In bytes, of its own process: what it starts, as Helm, is another program's matter.
    """
    most = 0
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=said, stderr=subprocess.STDOUT, env=variables
        )
        try:
            while process.returncode is None:
                most = max(most, peak(Path("/proc", str(process.pid), "status")))
                with suppress(subprocess.TimeoutExpired):
                    process.wait(LOOK)
        except BaseException:
            # Who is asked to end must not wait for what goes on without it.
            process.send_signal(signal.SIGINT)
            process.wait()
            raise
        said.seek(0)
        return process.returncode, said.read(), most


def peak(status: Path) -> int:
    """Return the most bytes that a process had in memory so far; 0 if it has ended.

    Of its own program: wait4(2) would count what its parent had when it was forked.
    """
    with suppress(OSError):
        rows = (line.split() for line in status.read_text().splitlines())
        return next((int(row[1]) * 1024 for row in rows if row[0] == "VmHWM:"), 0)
    return 0


def machine_cpu() -> float:
    """Return the CPU seconds that this machine has worked since it started."""
    return busy_ticks(Path("/proc/stat").read_text()) / os.sysconf("SC_CLK_TCK")


def busy_ticks(stat: str) -> int:
    """Return the clock ticks spent at work, from the text of /proc/stat."""
    ticks = [int(field) for field in stat.splitlines()[0].split()[1:]]
    return sum(ticks[column] for column in BUSY)


def machine() -> str:
    """Describe this machine without naming it."""
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    memory, kernel = pages / 2**30, platform.release()
    return f"{os.cpu_count()} cores, {memory:.0f} GiB, {platform.system()} {kernel}"


def await_quiet(say: Callable[[str], None]) -> bool:
    """Wait until the machine is at rest, and tell whether it is."""
    load = os.getloadavg()[0]
    if load < QUIET:
        return True
    say(f"load average {load:.2f}: waiting up to {PATIENCE:.0f} s for the machine to be quiet")
    try:
        polling.until(
            lambda: True if os.getloadavg()[0] < QUIET else None,
            "a quiet machine",
            timeout=PATIENCE,
            interval=2,
        )
    except NotReady:
        say(f"load average {os.getloadavg()[0]:.2f}: something else runs, so the figures mean less")
        return False
    return True


@contextmanager
def folder() -> Iterator[Path]:
    """Give a folder beside the golden images, so that regions can share them; it is gone after."""
    for left in state.cache().glob(f"{FOLDER}*"):
        # Of a bench that was killed; its name ends with the process id of its owner.
        if not Path("/proc", left.name.removeprefix(FOLDER)).exists():
            shutil.rmtree(left)
    path = state.cache() / f"{FOLDER}{os.getpid()}"
    path.mkdir(parents=True, mode=0o700)
    try:
        yield path
    finally:
        shutil.rmtree(path)
