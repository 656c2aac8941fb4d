"""The command line, measured: `up` from nothing, again on what stands, `diagnose`, `down`."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench import ground
from bench.ground import Cost, Meter
from isthmus import state
from isthmus.adapters import prefect_server
from isthmus.cli import prefect_setup, run_history
from isthmus.cli.run_history import RunRecord
from isthmus.errors import Rejected

NAME = "bench"
REMOTES = (
    "shanghai",
    "guangzhou",
    "chengdu",
    "xian",
    "wuhan",
    "nanjing",
    "tianjin",
    "dalian",
    "sanya",
)
PRESENT = ("toolchain", "images")
"""What of the cache is there beforehand; all else `up` has to make anew."""
TAIL = 12
"""Lines of a failed command that a person gets to see."""


@dataclass(frozen=True)
class ProductRun:
    """One environment's life, measured."""

    up: Cost
    again: Cost
    down: Cost
    diagnosed: Cost
    """`isthmus diagnose` of what stands: healthy, so all is looked at."""
    up_run: RunRecord
    again_run: RunRecord
    memory: int = 0
    """Bytes in memory, at most, of `up` from nothing; programs that it runs are not counted."""


def environment(remotes: int = 1) -> str:
    """Return the environment file with so many remotes."""
    clusters = [
        f"{{name: {name}, region: cn-{name}, network: network{number}}}"
        for number, name in enumerate(("beijing", *REMOTES[:remotes]), 1)
    ]
    return (
        f"name: {NAME}\nprovider: lab\nstack: istio-1.31\nfederation: kubefed\n"
        f"host: {clusters[0]}\nremotes: [{', '.join(clusters[1:])}]\n"
    )


def run(remotes: int = 1) -> ProductRun:
    """Build from nothing and again, diagnose, take down; raises Rejected if one of them fails."""
    with ground.folder() as folder:
        file = folder / "bench.yaml"
        file.write_text(environment(remotes))
        cache = folder / "cache"
        cache.mkdir()
        for name in PRESENT:
            (cache / name).symlink_to(state.cache() / name)
        with _gone_afterwards(file, cache):
            up, memory, up_run = _recorded(["up", str(file), "-o", "json"], cache)
            again, _, again_run = _recorded(["up", str(file), "-o", "json"], cache)
            diagnosed, _ = measured(["diagnose", str(file)], cache)
            down, _ = measured(["down", str(file)], cache)
    return ProductRun(up, again, down, diagnosed, up_run, again_run, memory)


@contextmanager
def server() -> Iterator[None]:
    """Make a Prefect server run; if it had to be started, it is stopped after."""
    if os.environ.get("PREFECT_API_URL"):
        yield
        return
    started = prefect_server.ensure(prefect_setup.folder()).started
    try:
        yield
    finally:
        if started:
            prefect_server.stop(prefect_setup.folder())


@contextmanager
def _gone_afterwards(file: Path, cache: Path) -> Iterator[None]:
    # Before, too: a bench that was killed may have left its environment.
    _forget(file, cache)
    try:
        yield
    finally:
        _forget(file, cache)


def _forget(file: Path, cache: Path) -> None:
    if state.folder(NAME).exists():
        _isthmus(["down", str(file)], cache)


def _recorded(arguments: list[str], cache: Path) -> tuple[Cost, int, RunRecord]:
    cost, memory = measured(arguments, cache)
    run = run_history.last(NAME)
    if run is None:
        raise Rejected(f"`isthmus {arguments[0]}` left no record of its steps")
    return cost, memory, run


def measured(arguments: list[str], cache: Path) -> tuple[Cost, int]:
    """Return what a command of isthmus took, and its memory; raises Rejected if it fails."""
    meter = Meter()
    memory = _isthmus(arguments, cache)
    return meter.cost(), memory


def _isthmus(arguments: list[str], cache: Path) -> int:
    program = Path(sys.executable).with_name("isthmus")
    variables = {**os.environ, "ISTHMUS_CACHE": str(cache), "ISTHMUS_HOME": str(state.home())}
    code, said, memory = ground.watched([str(program), *arguments], variables)
    if code:
        last = "\n".join(said.splitlines()[-TAIL:])
        raise Rejected(f"`isthmus {arguments[0]}` ended with {code}: {last}")
    return memory
