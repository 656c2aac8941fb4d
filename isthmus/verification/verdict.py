"""The verdict of a verification, and how it is shown: as the published document, as a table."""

from collections.abc import Sequence
from typing import Any, Literal

from isthmus.errors import Findings
from isthmus.step_results import StepResult
from isthmus.verification.evidence import Finding, sort_by_cause
from isthmus.verification.services import ServiceVerdict
from isthmus.verification.shares import bound

VerdictWord = Literal["pass", "fail"]


def _word(findings: Sequence[Finding]) -> VerdictWord:
    return "fail" if findings else "pass"


class ClientVerdict(StepResult):
    """What one client cluster saw, what it should have seen, and the reasons if that differs."""

    cluster: str
    requests: int
    failed: int
    """Requests without a good answer from a known instance."""
    answers: dict[str, int]
    expected: dict[str, float]
    observed_endpoints: list[str]
    expected_endpoints: list[str]
    findings: tuple[Finding, ...] = ()

    @property
    def verdict(self) -> VerdictWord:
        """`pass` if there is no finding."""
        return _word(self.findings)

    @property
    def good_answers(self) -> int:
        """How many answers came from known instances."""
        return sum(self.answers.values())

    @property
    def found(self) -> str:
        """What a person sees of it while others are still asked."""
        return ", ".join(f"{cluster} {count}" for cluster, count in self.answers.items())

    def document(self) -> dict[str, Any]:
        """Return this client's part of the published document."""
        return {
            "cluster": self.cluster,
            "requests": self.requests,
            "failed": self.failed,
            "answers": dict(self.answers),
            "expected": {cluster: round(share, 3) for cluster, share in self.expected.items()},
            "verdict": self.verdict,
            "endpoints": {
                "observed": sorted(self.observed_endpoints),
                "expected": sorted(self.expected_endpoints),
            },
        }


class Verification(StepResult):
    """The verdict on one environment: of every client, and of all of them together."""

    environment: str
    clients: list[ClientVerdict]
    services: tuple[ServiceVerdict, ...] = ()
    """What each client saw of services of the users' own."""
    findings: tuple[Finding, ...] = ()
    """What no single client shows."""
    causes: tuple[Finding, ...] = ()
    """What a diagnosis of the clusters named as the root causes of all that."""
    diagnosis: str = ""
    """The whole of it, for a page; empty if none was needed."""

    @property
    def all_findings(self) -> list[Finding]:
        """Every finding once, causes before what follows from them."""
        found = [reason for client in self.clients for reason in client.findings]
        found += [reason for service in self.services for reason in service.findings]
        return [*self.causes, *sort_by_cause([*found, *self.findings])]

    @property
    def reasons(self) -> list[str]:
        """Why the verdict is `fail`, a sentence each; empty if it is `pass`."""
        return [reason.text for reason in self.all_findings]

    @property
    def verdict(self) -> VerdictWord:
        """`pass` if every region is answered by every region as it should be."""
        return _word(self.all_findings)

    @property
    def notes(self) -> list[str]:
        """What of the users' own rules makes other shares right, each once, by its service."""
        found = (f"{s.service}: {note}" for s in self.services for note in s.notes)
        return list(dict.fromkeys(found))

    @property
    def found(self) -> str:
        """What a person sees of it among the steps."""
        return self.verdict

    @property
    def first_finding(self) -> str:
        """The first line of the first finding; empty if the verdict is `pass`."""
        return next((reason.splitlines()[0] for reason in self.reasons), "")

    def document(self) -> dict[str, Any]:
        """Return the published document, as `isthmus verify -o json` prints it."""
        return {
            "apiVersion": "isthmus/v1",
            "kind": "Verification",
            "environment": self.environment,
            "verdict": self.verdict,
            "clients": [client.document() for client in self.clients],
            "services": [service.document() for service in self.services],
            "causes": [{"id": c.kind, "about": c.about, "text": c.text} for c in self.causes],
            "reasons": self.reasons,
        }

    def raise_for_findings(self) -> None:
        """Do nothing if the verdict is `pass`; raises Findings with all reasons otherwise."""
        if self.reasons:
            listed = "".join(f"\n  - {reason}" for reason in self.reasons)
            raise VerificationFailed(self, listed)


class VerificationFailed(Findings):
    """The mesh was asked and is not what it should be; `verification` is the evidence."""

    def __init__(self, verification: Verification, listed: str) -> None:
        name = verification.environment
        super().__init__(
            f"{name} is not one mesh:{listed}",
            step="verify",
            hint=f"export KUBECONFIG=$(isthmus kubeconfig {name}), type what a reason names, "
            f"then: isthmus verify {name}",
        )
        self.verification = verification
        self.listed = listed

    def __reduce__(self) -> tuple[object, ...]:
        """Survive pickling whole."""
        return (VerificationFailed, (self.verification, self.listed))


def table(verification: Verification) -> list[dict[str, str]]:
    """Return a row for each client; a cluster's column holds its answers and the bound on them."""
    return [
        {
            "client": client.cluster,
            "requests": str(client.requests),
            "failed": str(client.failed),
            **{f"from {cluster}": _cell(client, cluster) for cluster in client.answers},
            "verdict": client.verdict,
        }
        for client in verification.clients
    ]


def service_rows(verification: Verification) -> list[dict[str, str]]:
    """Return a row for each service and client; `endpoints`: how many requests each one got."""
    return [service.row() for service in verification.services]


def _cell(client: ClientVerdict, cluster: str) -> str:
    low, high = bound(client.good_answers, client.expected[cluster])
    return f"{client.answers[cluster]} ({low}-{high})"
