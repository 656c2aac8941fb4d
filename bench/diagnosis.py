"""`isthmus diagnose --snapshot`, measured on a mesh wider than any lab here has room for."""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from bench import ground, product
from bench.ground import Cost
from isthmus import state

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
        return Analysis(*product.measured(["diagnose", "--snapshot", str(file)], state.cache()))
