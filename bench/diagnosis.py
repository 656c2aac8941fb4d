"""`isthmus diagnose --snapshot`, measured on a mesh wider than any lab here has room for."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from bench import ground
from bench.ground import Cost, Meter
from isthmus.errors import Rejected

CLUSTERS = 256
GENERATOR = Path(__file__).parents[1] / "tests" / "snapshots.py"
"""Writes a healthy mesh as it would be seen; the tests of the checks start from the same."""


@dataclass(frozen=True)
class Analysis:
    """What checking the snapshot took, and the most bytes that it had in memory."""

    cost: Cost
    memory: int


def run() -> Analysis:
    """Write a snapshot of many healthy clusters and diagnose it; raises Rejected on a finding."""
    with ground.folder() as folder:
        file = folder / "snapshot.json"
        writer = [sys.executable, str(GENERATOR), str(CLUSTERS - 1), str(file)]
        subprocess.run(writer, check=True)
        meter = Meter()
        program = Path(sys.executable).with_name("isthmus")
        command = [str(program), "diagnose", "--snapshot", str(file)]
        code, said, memory = ground.watched(command, os.environ)
        cost = meter.cost()
    if code:
        raise Rejected(f"`isthmus diagnose --snapshot` ended with {code}: {said[-2000:]}")
    return Analysis(cost, memory)
