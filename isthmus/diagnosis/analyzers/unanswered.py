"""What a snapshot could not see: a diagnosis that is blind must not look healthy."""

from collections.abc import Iterator

from isthmus.diagnosis.finding import Failure, analyzer, kubectl
from isthmus.diagnosis.snapshot import ClusterSnapshot, Snapshot

NAMED = 4
"""Questions that are named; of more the number is told."""


@analyzer("F58", "A part of a cluster could not be looked at", severity="warning")
def not_looked_at(snapshot: Snapshot) -> Iterator[Failure]:
    """Find reachable clusters of which questions, proxies or ways gave no answer."""
    for cluster in snapshot.clusters:
        if cluster.reachable and (missing := _missing(snapshot, cluster)):
            more = len(missing) - NAMED
            yield Failure(
                (cluster.name,),
                (*missing[:NAMED], *([f"and {more} more"] if more > 0 else [])),
                "what is said above; checks that need these answers say nothing, so that no "
                "finding does not mean that all is well",
                kubectl(cluster.name, "auth can-i --list"),
                object=f"questions to {cluster.name}",
                certain=False,
            )


def _missing(snapshot: Snapshot, cluster: ClusterSnapshot) -> list[str]:
    asked = [f"{what}: {said}" for what, said in cluster.errors.items()]
    pods = [(i.pod, i.errors) for i in cluster.istiods] + [
        (p.pod, p.errors) for p in cluster.proxies
    ]
    inside = [f"{pod}, {what}: {said}" for pod, errors in pods for what, said in errors.items()]
    skipped = [
        f"{p.source} -> {p.target} {p.endpoint} was not tried: {p.skipped}"
        for p in snapshot.probes
        if p.skipped and p.source == cluster.name
    ]
    return [*asked, *inside, *skipped]


ANALYZERS = (not_looked_at,)
