"""All checks on one snapshot: which there are, which are wanted, what they find."""

from collections.abc import Sequence

from isthmus.diagnosis import analyzers, causes, report
from isthmus.diagnosis.diagnosis import Diagnosis
from isthmus.diagnosis.finding import Analyzer, DiagnosedFailure
from isthmus.diagnosis.snapshot import Snapshot
from isthmus.errors import Usage

UNREAD = "F58"
"""The failure under which it is told that something could not be seen."""


def select(only: Sequence[str] = (), skip: Sequence[str] = ()) -> list[Analyzer]:
    """Return the checks with these ids and without those; raises Usage for an id that is none."""
    known = {check.id for check in analyzers.ANALYZERS}
    wanted, unwanted = ({name.upper() for name in names} for names in (only, skip))
    if strange := sorted((wanted | unwanted) - known):
        raise Usage(f"no such check: {', '.join(strange)}", hint="isthmus diagnose --list-checks")
    return [
        check
        for check in analyzers.ANALYZERS
        if check.id not in unwanted and (not wanted or check.id in wanted)
    ]


def diagnose(snapshot: Snapshot, checks: Sequence[Analyzer]) -> Diagnosis:
    """Return all that the checks find in a snapshot."""
    found = analyze(snapshot, checks)
    return Diagnosis(
        environment=snapshot.name,
        findings=found,
        summary=report.summary(found, len(checks), snapshot),
    )


def analyze(snapshot: Snapshot, checks: Sequence[Analyzer]) -> list[DiagnosedFailure]:
    """Return what the checks find, root causes first, each once; consequences name their causes."""
    found = [failure for check in checks for failure in _run(check, snapshot)]
    return causes.fold(
        list({failure.key: failure for failure in found}.values()), snapshot.host.name
    )


def _run(check: Analyzer, snapshot: Snapshot) -> list[DiagnosedFailure]:
    """Return what a check finds; of one that cannot read the snapshot, that."""
    try:
        return check.run(snapshot)
    except Exception as error:
        return [
            DiagnosedFailure(
                id=UNREAD,
                title=next(c.title for c in analyzers.ANALYZERS if c.id == UNREAD),
                severity="warning",
                clusters=(snapshot.host.name,),
                object=f"check {check.id}",
                evidence=(f"check {check.id} failed: {type(error).__name__}: {error}",),
                cause="an object in a cluster has a shape that this check does not know",
                fix=f"isthmus diagnose {snapshot.name} --skip {check.id}",
                certain=False,
            )
        ]
