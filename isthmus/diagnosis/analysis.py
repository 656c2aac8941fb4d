"""All checks on one snapshot: which there are, which are wanted, what they find."""

from collections.abc import Sequence

from isthmus.diagnosis import analyzers, causes, report
from isthmus.diagnosis.finding import Analyzer, DiagnosedFailure
from isthmus.diagnosis.snapshot import Snapshot
from isthmus.errors import Findings, Usage
from isthmus.step_results import StepResult

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


class Diagnosis(StepResult):
    """What the checks found in one snapshot of an environment."""

    environment: str
    findings: list[DiagnosedFailure]
    summary: str

    @property
    def errors(self) -> list[DiagnosedFailure]:
        """The findings that are errors, root causes first."""
        return [failure for failure in self.findings if failure.severity == "error"]

    @property
    def found(self) -> str:
        """What a person sees of it among the steps."""
        return self.summary

    @property
    def first_finding(self) -> str:
        """The first cause in a sentence; empty if nothing is an error."""
        return next((report.sentence(failure) for failure in self.errors), "")

    def raise_for_findings(self) -> None:
        """Do nothing if no finding is an error; raises DiagnosisFailed otherwise."""
        if self.errors:
            raise DiagnosisFailed(self)


class DiagnosisFailed(Findings):
    """Something is broken; `diagnosis` names it."""

    def __init__(self, diagnosis: Diagnosis) -> None:
        first = diagnosis.errors[0]
        commands = first.commands or [f"isthmus diagnose {diagnosis.environment}"]
        super().__init__(
            f"{first.id} {report.where(first)}: {first.title}", step="diagnose", hint=commands[0]
        )
        self.diagnosis = diagnosis

    def __reduce__(self) -> tuple[object, ...]:
        """Survive pickling whole."""
        return (DiagnosisFailed, (self.diagnosis,))


def diagnose(snapshot: Snapshot, checks: Sequence[Analyzer]) -> Diagnosis:
    """Return all that the checks find in a snapshot."""
    found = analyze(snapshot, checks)
    return Diagnosis(
        environment=str(snapshot.environment.get("name", "")),
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
                title="A part of a cluster could not be looked at",
                severity="warning",
                clusters=(snapshot.host.name,),
                object=f"check {check.id}",
                evidence=(f"check {check.id} failed: {type(error).__name__}: {error}",),
                cause="an object in a cluster has a shape that this check does not know",
                fix=f"isthmus diagnose {snapshot.environment.get('name', '')} --skip {check.id}",
                certain=False,
            )
        ]
