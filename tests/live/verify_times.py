"""How long `isthmus verify` takes with each fault, or those named, and what it says first.

By hand, on an environment that is up, by its file; the home is ISTHMUS_HOME:

    PYTHONPATH=tests:. python tests/live/verify_times.py FILE [FAULT...]
"""

import json
import signal
import sys
import time
from pathlib import Path
from typing import Any

from live import diagnosing, faults
from live.conftest import Isthmus, Mesh

from isthmus import state

LIMIT = 60.0
"""Seconds that a verification may take, whatever is broken."""
SHOWN = 90
"""Characters of the first reason."""


def main(file: str, *wanted: str) -> int:
    """Break, verify and mend; print a row for each at once, and at last the slowest."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in a shell's background
    mesh = Mesh(Isthmus(state.home()), Path(file))
    faults.put_back(mesh)  # what a run that was killed has left
    diagnosing.until_healthy(mesh)
    print("| fault | expected | exit | seconds | first reason |\n|---|---|---|---|---|", flush=True)
    times = {name: row(mesh, name) for name in wanted or diagnosing.names()}
    slowest = max(times, key=lambda name: times[name])
    print(f"\nslowest of {len(times)}: {slowest}, {times[slowest]:.0f} s")
    return 0 if times[slowest] <= LIMIT else 1


def row(mesh: Any, name: str) -> float:
    """Verify with one fault; return the seconds of the whole command."""
    fault = diagnosing.load(name)
    try:
        fault.break_mesh(mesh)
        begun = time.monotonic()
        process = mesh.isthmus.start("verify", mesh.name, "-o", "json")
        out, err = process.communicate()
        seconds = time.monotonic() - begun
    finally:
        fault.mend(mesh)
    diagnosing.until_healthy(mesh)
    said = json.loads(out)["reasons"] if out else err.strip().splitlines()[-2:-1]
    first = (said or ["green"])[0][:SHOWN]
    cells = (name, fault.EXPECT, str(process.returncode), f"{seconds:.0f}", first)
    print(f"| {' | '.join(cells)} |", flush=True)
    return seconds


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
