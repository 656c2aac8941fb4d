"""What the checks found in one snapshot, as steps and reports hand it on; without the checks."""

from isthmus.diagnosis import report
from isthmus.diagnosis.finding import DiagnosedFailure
from isthmus.errors import Findings
from isthmus.step_results import StepResult


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
