"""The walk's frame: namespaces that end with it, its laps with their times, nothing left behind.

`python -m bench.walk` walks once and prints the laps.
"""

import os
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, MutableSequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from bench import ground, manifests, regions
from bench.ground import Cost, Meter
from isthmus import state
from isthmus.cli.main import attempt
from isthmus.errors import Rejected
from isthmus.providers.lab.images import ensure_golden, names
from isthmus.providers.lab.tools import Toolchain, ensure_toolchain

SCRIPT = Path(__file__).with_name("walk.sh")
LAST = "verified"
LAP = "== "
# The network namespace takes the bridge with it, the mount namespace all mounts, and the process
# namespace every process, also those of pods; setpriv ends it if this process is killed.
ALONE = [
    *("setpriv", "--pdeathsig", "KILL"),
    *("unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"),
]
TAIL = 12
"""Lines of a failed walk's output that a person gets to see."""


@dataclass(frozen=True)
class Lap:
    """One step of the walk, and the seconds that it took."""

    name: str
    seconds: float


@dataclass(frozen=True)
class Walk:
    """One walk from nothing to the answers of both regions."""

    cost: Cost
    laps: tuple[Lap, ...]


def run() -> Walk:
    """Walk once; raises Rejected, with what was said last, if a step of it fails."""
    tools = ensure_toolchain()
    ensure_golden(tools)
    with ground.folder() as folder:
        manifests.write(folder)
        meter, said = Meter(), deque[str](maxlen=TAIL)
        with _walking(folder, tools) as lines:
            laps = read(lines, meter.seconds, said)
            cost = meter.cost()
    if not laps or laps[-1].name != LAST:
        where = laps[-1].name if laps else "its start"
        raise Rejected(f"the walk ended after {where}: {''.join(said)}".rstrip())
    return Walk(cost, laps)


def read(
    lines: Iterable[str], clock: Callable[[], float], said: MutableSequence[str]
) -> tuple[Lap, ...]:
    """Return the laps, each timed when its line came, up to the last one; `said` gets the rest."""
    laps: list[Lap] = []
    before = 0.0
    for line in lines:
        if not line.startswith(LAP):
            said.extend([line] if line.strip() else [])
            continue
        now = clock()
        laps.append(Lap(line.removeprefix(LAP).strip(), now - before))
        before = now
        if laps[-1].name == LAST:
            break
    return tuple(laps)


@contextmanager
def _walking(folder: Path, tools: Toolchain) -> Iterator[Iterable[str]]:
    process = subprocess.Popen(
        [*ALONE, "bash", str(SCRIPT)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=_variables(folder, tools),
        text=True,
        errors="replace",
        start_new_session=True,
    )
    assert process.stdout
    try:
        yield process.stdout
    finally:
        _end(process)
        _remove_cgroups()


def _variables(folder: Path, tools: Toolchain) -> dict[str, str]:
    return {
        **os.environ,
        "PATH": f"{tools.bin}:{os.environ['PATH']}:/usr/sbin:/sbin",
        "PYTHONPATH": str(SCRIPT.parents[1]),
        "PYTHON": sys.executable,
        # Where kubectl and Helm keep what they have seen: nothing yet.
        "HOME": str(folder),
        # Found before HOME was another: the walk uses what is built and builds nothing.
        "ISTHMUS_CACHE": str(state.cache()),
        "WALK": str(folder),
        "CHART": str(tools.share / "kubefed-chart"),
        "IMAGES": names.HUB,
    }


def _end(process: "subprocess.Popen[str]") -> None:
    # The first process of the namespace: unshare ends only after it, and it only after all others.
    path = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    children = path.read_text().split() if path.exists() else []
    for child in children:
        with suppress(ProcessLookupError):
            os.kill(int(child), signal.SIGKILL)
    if not children:
        process.kill()
    process.wait()
    assert process.stdout
    process.stdout.close()


def _remove_cgroups() -> None:
    # Of the pods; a control group is in no namespace that could take it along.
    path = f"*/{regions.NETWORK.namespace('*')}"
    command = ["find", "/sys/fs/cgroup", "-depth", "-type", "d", "-path", path, "-delete"]
    subprocess.run(command, check=False)


def _main() -> None:
    walk = run()
    for lap in walk.laps:
        print(f"{lap.seconds:7.1f} s  {lap.name}")
    print(f"{walk.cost.seconds:7.1f} s  in all, {walk.cost.cpu:.1f} CPU seconds")


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(attempt(_main)[0])
