"""Findings as text for a person, as JSON for a program, and as JUnit for a pipeline."""

from collections.abc import Iterable, Sequence
from typing import Any
from xml.etree import ElementTree

from isthmus.diagnosis import causes
from isthmus.diagnosis.finding import Analyzer, DiagnosedFailure
from isthmus.diagnosis.snapshot import Snapshot

PAGE = "docs/diagnosis.md"
"""Where each failure has an anchor of its own, by its id in small letters."""
FOLDED = 6
"""Consequences of one cause that are named; of more it tells the number."""


def link(failure_id: str) -> str:
    """Return where the documentation tells of a failure."""
    return f"{PAGE}#{failure_id.lower()}"


def where(failure: DiagnosedFailure) -> str:
    """Return the cluster, or the way between two: `beijing -> shanghai`."""
    return " -> ".join(failure.clusters) or "the mesh"


def lines(found: Sequence[DiagnosedFailure]) -> list[str]:
    """Return the text: each root cause with its evidence, what to type, and what it explains."""
    told: list[str] = []
    for root in causes.roots(found):
        told += ["", *_root(root), *_explains(causes.consequences(root, found))]
    return told[1:]


def sentence(failure: DiagnosedFailure) -> str:
    """Return a finding as one paragraph, as a verdict's reasons are."""
    seen = "; ".join(failure.evidence)
    likely = "Cause" if failure.certain else "Likely cause"
    command = "; ".join(failure.commands) or failure.fix
    return (
        f"{where(failure)}: {failure.title} ({seen}). "
        f"{likely}: {failure.cause} ({link(failure.id)}). Type: {command}"
    )


def summary(found: Sequence[DiagnosedFailure], checks: int, snapshot: Snapshot) -> str:
    """Return the last line: how many of which, and of how many checks."""
    counted = {s: sum(f.severity == s for f in found) for s in causes.SEVERITIES}
    said = ", ".join(f"{n} {s}{'s' if n != 1 else ''}" for s, n in counted.items() if n)
    looked = f"{checks} checks, {len(snapshot.clusters)} clusters, {snapshot.seconds:g} s"
    unreached = [c.name for c in snapshot.clusters if not c.reachable]
    but = f"; not asked: {', '.join(unreached)}" if unreached else ""
    return f"{said or 'no failure found'} ({looked}{but}{_untried(snapshot)})"


def _untried(snapshot: Snapshot) -> str:
    """Say what the snapshot could not try: a green of what was not looked at is none."""
    skipped = [probe for probe in snapshot.probes if probe.skipped]
    left_out = sum(cluster.proxies_left_out for cluster in snapshot.clusters)
    unanswered = sum(len(cluster.errors) for cluster in snapshot.clusters)
    told = f"; ways not tried: {len(skipped)} ({skipped[0].skipped})" if skipped else ""
    told += f"; sidecars not asked: {left_out}" if left_out else ""
    return told + (f"; questions without an answer: {unanswered}" if unanswered else "")


def document(
    snapshot: Snapshot, found: Sequence[DiagnosedFailure], checks: Sequence[Analyzer]
) -> dict[str, Any]:
    """Return the findings as JSON has them; `verdict` is `fail` if one of them is an error."""
    return {
        "environment": snapshot.name,
        "verdict": "fail" if any(f.severity == "error" for f in found) else "pass",
        "takenAt": snapshot.taken_at,
        "seconds": snapshot.seconds,
        "checks": [check.id for check in checks],
        "findings": [_plain(failure) for failure in found],
        "unanswered": {c.name: c.errors for c in snapshot.clusters if c.errors},
        "skipped": [
            {"from": p.source, "to": p.target, "address": p.endpoint, "reason": p.skipped}
            for p in snapshot.probes
            if p.skipped
        ],
    }


def page(found: Sequence[DiagnosedFailure]) -> str:
    """Return the findings as the text of a page: what `isthmus diagnose` prints."""
    return "\n".join(lines(found)) or "no failure found"


def junit(snapshot: Snapshot, found: Sequence[DiagnosedFailure], checks: Sequence[Analyzer]) -> str:
    """Return a JUnit report: a test case for each check, a failure for each finding of it."""
    failed = {f.id for f in found if f.severity == "error"}
    suite = ElementTree.Element(
        "testsuite",
        name=f"isthmus diagnose {snapshot.name}",
        tests=str(len(checks)),
        failures=str(len(failed)),
        time=f"{snapshot.seconds:g}",
    )
    properties = ElementTree.SubElement(suite, "properties")
    for cluster in snapshot.clusters:
        given = {"name": f"kubernetes.{cluster.name}", "value": cluster.version or "unreachable"}
        ElementTree.SubElement(properties, "property", given)
    for check in checks:
        _case(suite, check, [f for f in found if f.id == check.id])
    return ElementTree.tostring(suite, encoding="unicode", xml_declaration=True)


def _case(suite: ElementTree.Element, check: Analyzer, found: Iterable[DiagnosedFailure]) -> None:
    case = ElementTree.SubElement(
        suite, "testcase", classname=f"diagnose.{check.id}", name=check.title
    )
    for failure in found:
        text = "\n".join(_root(failure))
        if failure.severity == "error":
            message = f"{where(failure)}: {failure.evidence[0] if failure.evidence else ''}"
            made = ElementTree.SubElement(case, "failure", message=message, type=failure.id)
            made.text = text
        else:
            ElementTree.SubElement(case, "system-out").text = text


def _root(failure: DiagnosedFailure) -> list[str]:
    sure = "" if failure.certain else " (likely)"
    return [
        f"{failure.severity} {failure.id} {where(failure)}: {failure.title}",
        *(f"  seen:  {fact}" for fact in failure.evidence),
        f"  cause: {failure.cause}{sure}",
        *(f"  type:  {command}" for command in failure.fix.splitlines()),
        f"  see:   {link(failure.id)}",
    ]


def _explains(found: Sequence[DiagnosedFailure]) -> list[str]:
    told = [f"  explains {f.id} {where(f)}: {f.title}" for f in found[:FOLDED]]
    more = len(found) - FOLDED
    return [*told, f"  explains {more} more"] if more > 0 else told


def _plain(failure: DiagnosedFailure) -> dict[str, Any]:
    return {
        "id": failure.id,
        "key": failure.key,
        "title": failure.title,
        "severity": failure.severity,
        "clusters": list(failure.clusters),
        "object": failure.object,
        "evidence": list(failure.evidence),
        "cause": failure.cause,
        "certain": failure.certain,
        "fix": failure.fix.splitlines(),
        "link": link(failure.id),
        "explainedBy": list(failure.explained_by),
    }
