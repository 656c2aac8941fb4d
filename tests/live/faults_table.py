"""All faults, or those named, one after the other: a table of what diagnose made of each.

By hand, on an environment that is up, by its file; the home is ISTHMUS_HOME:

    PYTHONPATH=tests:. python tests/live/faults_table.py FILE [FAULT | PAIR...]

A pair is two names with a `+` between them; `pairs` stands for all of them. The snapshot of what
was not named rightly is kept below the home, for `isthmus diagnose --snapshot`.
"""

import signal
import sys
import time
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from live import diagnosing, faults
from live.conftest import Isthmus, Mesh
from live.faults_pairs import PAIRS

from isthmus import state
from isthmus.diagnosis import analysis


def main(file: str, *wanted: str) -> int:
    """Break, diagnose and mend; print a row for each at once, and at last the sums."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in a shell's background
    mesh = Mesh(Isthmus(state.home()), Path(file))
    faults.put_back(mesh)  # what a run that was killed has left
    healthy = diagnosing.until_healthy(mesh)
    print(f"healthy mesh: {diagnosing.told(healthy.found)}\n", flush=True)
    print("| fault | expected | first cause | seconds | healthy after | other roots |")
    print("|---|---|---|---|---|---|", flush=True)
    rows = [row(mesh, *name.split("+")) for name in _chosen(wanted)]
    right = sum(good for good, _ in rows)
    others = sum(wrong for _, wrong in rows)
    named = right + others
    print(f"\nrecall {right}/{len(rows)}, precision of root causes {right}/{named}")
    return 0 if right == len(rows) and not others else 1


def _chosen(wanted: Sequence[str]) -> list[str]:
    pairs = ["+".join(pair) for pair in PAIRS]
    every = [*diagnosing.names()] if not wanted else []
    return every + [n for name in wanted for n in (pairs if name == "pairs" else [name])]


class Asking:
    """Diagnoses, and remembers the snapshot."""

    def __call__(self, mesh: Any) -> diagnosing.Findings:
        self.snapshot = diagnosing.snapshot(mesh)
        return analysis.analyze(self.snapshot, analysis.select())

    def kept(self, mesh: Any, name: str) -> Path:
        """Write the last snapshot; return where it is."""
        path = mesh.isthmus.home / "faults" / f"{name}.json"
        path.parent.mkdir(exist_ok=True, mode=0o700)
        state.write_private(path, self.snapshot.model_dump_json())
        return path


def row(mesh: Any, *names: str) -> tuple[bool, int]:
    """Try a fault, or a pair; tell whether it was named first, and how many wrong roots were."""
    tried, asking = [diagnosing.load(name) for name in names], Asking()
    try:
        for fault in reversed(tried):
            fault.break_mesh(mesh)
        seen = (
            diagnosing.until_named(mesh, tried[0], asking)
            if len(tried) == 1
            else diagnosing.until_both_named(mesh, tried[0], tried[1], asking)
        )
    except Exception:
        seen = None
        traceback.print_exc()
    finally:
        faults.put_back(mesh)
    after = diagnosing.until_healthy(mesh)
    expected = " + ".join(f"{f.EXPECT} {'/'.join(f.CLUSTERS or ('any',))}" for f in tried)
    found = seen.found if seen else []
    others = [f for f in found if not f.explained_by and not _is_of(f, tried)]
    first = f"{found[0].id} {'/'.join(found[0].clusters)}" if found else "none"
    cells = (
        "+".join(names),
        expected,
        first if seen and seen.named else f"**{first}**",
        f"{seen.seconds:.0f}" if seen else "not broken",
        f"{after.seconds:.0f}" if after.named else "**never**",
        ", ".join(f"{f.id} {'/'.join(f.clusters)} ({f.severity})" for f in others) or "-",
    )
    print(f"| {' | '.join(cells)} |", flush=True)
    if seen and (not seen.named or others):
        _tell(f"found ({asking.kept(mesh, '+'.join(names))})", seen.found)
    if not after.named:
        _tell("mended, and still", after.found)
    return bool(seen and seen.named), len(others)


def _is_of(finding: Any, tried: Sequence[faults.Fault]) -> bool:
    """Tell whether a finding is of one of the faults; of one alone only in the very place."""
    if len(tried) == 1:
        return diagnosing.is_first(tried[0], [finding])
    return any(diagnosing.is_meant(fault, finding) for fault in tried)


def _tell(what: str, found: diagnosing.Findings) -> None:
    print(f"{time.strftime('%H:%M:%S')} {what}:\n{diagnosing.told(found)}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
