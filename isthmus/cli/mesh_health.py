"""What `status` says of the whole mesh: when traffic was last proven, what ends when, what is ill.

The diagnosis is the cheap one: objects, secrets and the ways between clusters; no proxy is asked.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from isthmus import environment_store
from isthmus.cli.diagnose import take_snapshot
from isthmus.cli.status_history import Observation, ago
from isthmus.diagnosis import analysis, causes, report
from isthmus.diagnosis.times import DAY

if TYPE_CHECKING:
    from isthmus.diagnosis.finding import DiagnosedFailure
    from isthmus.diagnosis.snapshot import ClusterSnapshot, Snapshot
    from isthmus.environment import Environment

NEAR_DAYS = 90
"""Days before the end of a CA or token from which on it is told."""


@dataclass(frozen=True)
class Expiry:
    """When something ends."""

    cluster: str
    what: str
    at: float | None
    """Seconds since the epoch; None: it has no end."""

    def text(self, now: float) -> str:
        """Say so: `intermediate CA in 89 days`."""
        if self.at is None:
            return f"{self.what} without an end"
        left = self.at - now
        unit = f"{left / DAY:.0f} days" if abs(left) >= DAY else f"{left / 3600:.0f} h"
        return f"{self.what} in {unit}" if left > 0 else f"{self.what} EXPIRED"

    def is_near(self, now: float) -> bool:
        """Whether it ends within NEAR_DAYS."""
        return self.at is not None and self.at - now < NEAR_DAYS * DAY


@dataclass(frozen=True)
class MeshHealth:
    """All of it, at one moment."""

    now: float
    proof: dict[str, Any] | None
    findings: "list[DiagnosedFailure]"
    expiries: list[Expiry]

    @property
    def errors(self) -> "list[DiagnosedFailure]":
        """The root causes that are errors."""
        return [f for f in causes.roots(self.findings) if f.severity == "error"]

    @property
    def is_proven(self) -> bool:
        """Whether the last traffic that was sent proved the mesh."""
        return bool(self.proof) and self.proof["verdict"] == "pass"  # type: ignore[index]

    @property
    def is_refuted(self) -> bool:
        """Whether traffic failed within a day, and did not prove the mesh since."""
        if not self.proof or self.is_proven:
            return False
        return self.now - float(self.proof["at"]) < DAY

    def traffic(self) -> str:
        """Say when traffic was last proven, and by how much."""
        if not self.proof:
            return "not proven here yet: isthmus verify"
        since = f"{ago(self.now - self.proof['at'])} ago, {self.proof['requests']} requests"
        if self.is_proven:
            return f"proven {since}; status itself sends none"
        return f"NOT proven {since}: {self.proof['first']}"

    def observations(self) -> list[Observation]:
        """Return what is true of the mesh, in words that stay the same as long as it does."""
        word = "not proven here yet"
        if self.proof:
            word = "proven" if self.is_proven else f"NOT proven: {self.proof['first']}"
        found = ((f"{f.id} {' -> '.join(f.clusters)}", f.title) for f in self.errors)
        return [Observation("traffic", word), *(Observation(*each) for each in found)]

    def document(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {
            "traffic": self.proof
            and {**self.proof, "at": f"{datetime.fromtimestamp(self.proof['at'], UTC):%FT%TZ}"},
            "findings": [
                {"id": f.id, "severity": f.severity, "clusters": list(f.clusters),
                 "title": f.title, "fix": f.commands, "link": report.link(f.id)}
                for f in causes.roots(self.findings)
            ],
            "expiry": [
                {"cluster": e.cluster, "what": e.what,
                 "at": e.at and f"{datetime.fromtimestamp(e.at, UTC):%FT%TZ}"}
                for e in self.expiries
            ],
        }  # fmt: skip


def look(environment: "Environment") -> MeshHealth:
    """Return what the clusters show cheaply, and what traffic last told."""
    snapshot = take_snapshot(environment, proxies=False)
    return MeshHealth(
        now=time.time(),
        proof=environment_store.last_proof(environment.name),
        findings=analysis.analyze(snapshot, analysis.select()),
        expiries=list(expiries(snapshot)),
    )


def expiries(snapshot: "Snapshot") -> Iterator[Expiry]:
    """Yield when each CA, each reader's token and each served certificate ends, by cluster."""
    for cluster in snapshot.clusters:
        yield from _authorities(cluster)
        for secret in cluster.remote_secrets:
            if secret.token:
                yield Expiry(secret.key, "reader token", secret.token.expires_at)
    seen = set()
    for probe in snapshot.probes:
        key = (probe.target, probe.purpose)
        if probe.certificates and key not in seen:
            seen.add(key)
            name = "sidecar certificate" if probe.purpose == "gateway" else probe.purpose
            yield Expiry(probe.target, f"{name} as served", probe.certificates[0].not_after)


def _authorities(cluster: "ClusterSnapshot") -> Iterator[Expiry]:
    if cluster.cacerts:
        for root in cluster.cacerts.roots:
            yield Expiry(cluster.name, "root CA", root.not_after)
        if cluster.cacerts.signing:
            yield Expiry(cluster.name, "intermediate CA", cluster.cacerts.signing.not_after)
