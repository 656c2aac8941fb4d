"""One failure as a person gets it, and the register of the checks that find them."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict

from isthmus.diagnosis.snapshot import Snapshot
from isthmus.verification.finding_text import kubectl as kubectl  # how verdicts word it, too

Severity = Literal["error", "warning", "info"]
"""error: traffic or the control plane is broken, or will not work. warning: it will break, or may.
info: as intended, and told because it looks like a failure."""


class DiagnosedFailure(BaseModel):
    """What is wrong, where, how that was seen, and what to type."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: str
    """F01 to F59, as docs/diagnosis.md lists them."""
    title: str
    severity: Severity
    clusters: tuple[str, ...]
    """The cluster that is at fault; of a pair, first the one that asks, then the one asked."""
    object: str = ""
    """What it is about: `Secret istio-system/istio-remote-secret-shanghai`."""
    evidence: tuple[str, ...]
    """Facts as they were seen, one a line."""
    cause: str
    """The likely cause; where two fit equally, both, as `either A, or B`."""
    fix: str
    """A command that can be pasted; a second line if one is not enough."""
    certain: bool = True
    """Whether the evidence leaves no other cause."""
    explained_by: tuple[str, ...] = ()
    """Keys of findings of which this one is a consequence; filled in by `causes`."""

    @property
    def commands(self) -> list[str]:
        """The commands of the fix, without the remarks between them."""
        return [line for line in self.fix.splitlines() if line and not line.startswith("#")]

    @property
    def key(self) -> str:
        """By which other findings name it: `F05/shanghai/Secret ...`."""
        return "/".join((self.id, ",".join(self.clusters), self.object))


@dataclass(frozen=True)
class Analyzer:
    """One failure that is looked for."""

    id: str
    title: str
    find: Callable[[Snapshot], Iterable[DiagnosedFailure]]
    severity: Severity = "error"

    def run(self, snapshot: Snapshot) -> list[DiagnosedFailure]:
        """Return every case of the failure that the snapshot shows."""
        return list(self.find(snapshot))


@dataclass(frozen=True)
class Failure:
    """A failure before its analyzer has given it its id and title."""

    clusters: tuple[str, ...]
    evidence: tuple[str, ...]
    cause: str
    fix: str
    object: str = ""
    severity: Severity | None = None
    """None: the analyzer's own."""
    certain: bool = True


Check = Callable[[Snapshot], Iterator[Failure]]


def analyzer(
    failure_id: str, title: str, severity: Severity = "error"
) -> Callable[[Check], Analyzer]:
    """Make an analyzer of a function that yields a Failure for each case that it sees.

    >>> @analyzer("F33", "No pod of a gateway is ready")
    ... def no_gateway_pod(snapshot): ...
    """

    def make(check: Check) -> Analyzer:
        def find(snapshot: Snapshot) -> Iterator[DiagnosedFailure]:
            for failure in check(snapshot):
                yield DiagnosedFailure(
                    id=failure_id,
                    title=title,
                    severity=failure.severity or severity,
                    clusters=failure.clusters,
                    object=failure.object,
                    evidence=failure.evidence,
                    cause=failure.cause,
                    fix=failure.fix,
                    certain=failure.certain,
                )

        return Analyzer(failure_id, title, find, severity)

    return make
