"""Breaking a mesh and asking for the cause, until it is named; what tests and the table share."""

import importlib
import pkgutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from live import faults

from isthmus import state
from isthmus.collectors import mesh as collector
from isthmus.diagnosis import analysis
from isthmus.diagnosis.finding import DiagnosedFailure

NAMED_WITHIN, HEALTHY_WITHIN = 60.0, 90.0
"""Seconds."""
HELPERS = {"credentials", "objects", "placements", "regions", "roles"}
"""Modules of `faults` that are none."""
Findings = Sequence[DiagnosedFailure]


@dataclass(frozen=True)
class Outcome:
    """What a diagnosis of a broken mesh came to."""

    named: bool
    seconds: float
    """From the end of the break to the end of the diagnosis that named it, or was the last."""
    found: Findings


def names() -> list[str]:
    """Return the names of all faults."""
    found = [module.name for module in pkgutil.iter_modules(faults.__path__)]
    return sorted(name for name in found if name not in HELPERS)


def load(name: str) -> faults.Fault:
    """Return a fault by its name."""
    return importlib.import_module(f"live.faults.{name}")  # type: ignore[return-value]


def diagnose(mesh: Any) -> Findings:
    """Return what `isthmus diagnose` finds now."""
    return analysis.analyze(snapshot(mesh), analysis.select())


def snapshot(mesh: Any) -> Any:
    """Return what all clusters show now."""
    with home(mesh):
        return collector.take_snapshot(mesh.environment)


@contextmanager
def home(mesh: Any) -> Iterator[None]:
    """Let the mesh's own home be ours."""
    held = state.home
    state.home = lambda: mesh.isthmus.home
    try:
        yield
    finally:
        state.home = held


def is_first(fault: faults.Fault, found: Findings) -> bool:
    """Tell whether a fault is the first root cause that was found, in the right place."""
    if not found or found[0].id != fault.EXPECT:
        return False
    return fault.CLUSTERS is None or found[0].clusters == fault.CLUSTERS


def is_meant(fault: faults.Fault, finding: DiagnosedFailure) -> bool:
    """Tell whether a finding is of a fault that stands beside another, which may hide who asks."""
    if finding.id != fault.EXPECT:
        return False
    return fault.CLUSTERS is None or finding.clusters[-1:] == fault.CLUSTERS[-1:]


def until(
    mesh: Any, enough: Callable[[Findings], bool], limit: float, ask: Callable[[Any], Findings]
) -> Outcome:
    """Diagnose again and again, until that is enough or the time is over; once at least."""
    begun = time.monotonic()
    while True:
        found = ask(mesh)
        seconds = time.monotonic() - begun
        if enough(found) or seconds > limit:
            return Outcome(enough(found), seconds, found)


def until_named(
    mesh: Any, fault: faults.Fault, ask: Callable[[Any], Findings] = diagnose
) -> Outcome:
    """Diagnose until a fault is the first root cause."""
    limit = getattr(fault, "WITHIN", NAMED_WITHIN)
    return until(mesh, lambda found: is_first(fault, found), limit, ask)


def until_both_named(
    mesh: Any,
    outer: faults.Fault,
    inner: faults.Fault,
    ask: Callable[[Any], Findings] = diagnose,
) -> Outcome:
    """Diagnose until both faults are named, the outer one as the first root cause."""

    def both(found: Findings) -> bool:
        return is_first(outer, found) and any(is_meant(inner, one) for one in found)

    return until(mesh, both, NAMED_WITHIN, ask)


def until_healthy(mesh: Any, ask: Callable[[Any], Findings] = diagnose) -> Outcome:
    """Diagnose until nothing is found any more."""
    return until(mesh, lambda found: not found, HEALTHY_WITHIN, ask)


def told(found: Findings) -> str:
    """Return the findings, one a line, with the first of their evidence."""
    lines = [
        f"{f.severity} {f.id} {'/'.join(f.clusters)} {f.object}: {(*f.evidence, '-')[0][:200]}"
        + (f" <- {', '.join(f.explained_by)}" if f.explained_by else "")
        for f in found
    ]
    return "\n".join(lines) or "nothing was found"
