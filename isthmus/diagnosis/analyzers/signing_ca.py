"""Whether istiod signs with what the Secret cacerts holds."""

from collections.abc import Iterable, Iterator

from isthmus.diagnosis.finding import Failure, analyzer
from isthmus.diagnosis.services import stack_of, up
from isthmus.diagnosis.signers import (
    CACERTS,
    SETTLED,
    Chain,
    is_settled,
    new_roots,
    restart,
    served_chains,
    signed_proxies,
    signing_clusters,
    times,
    unusable,
)
from isthmus.diagnosis.snapshot import CaFacts, CertificateFacts, ClusterSnapshot, Snapshot
from isthmus.diagnosis.times import utc
from isthmus.diagnosis.trust import describe, is_issuer
from isthmus.diagnosis.wiring import has_mesh
from isthmus.environment.namespaces import ISTIO_NAMESPACE

SHOWN = 5


@analyzer("F20", "istiod does not sign with the CA that the Secret cacerts holds")
def other_signer(snapshot: Snapshot) -> Iterator[Failure]:
    """The Secret is missing, cannot be used, or is not what signatures are of."""
    served = served_chains(snapshot)
    for cluster in signing_clusters(snapshot):
        if not cluster.reachable or "cacerts" in cluster.errors or not has_mesh(cluster):
            continue
        ca = cluster.cacerts
        if ca is None:
            yield _missing(snapshot, cluster)
        elif wrong := unusable(ca):
            yield _refused(snapshot, cluster, ca, wrong)
        elif ca.signing and not new_roots(snapshot, cluster, ca):
            met = _met(served.get(cluster.name, ()), ca.signing)
            yield from _other(snapshot, cluster, ca, ca.signing, met)


def _missing(snapshot: Snapshot, cluster: ClusterSnapshot) -> Failure:
    return Failure(
        clusters=(cluster.name,),
        object=CACERTS,
        evidence=(f"{cluster.name} has no Secret cacerts in {ISTIO_NAMESPACE}",),
        cause="the Secret was deleted: an istiod that starts without it makes a root of its own, "
        "which no other cluster knows (istio-ca-secret)",
        fix=up(snapshot),
        severity="warning",
    )


def _refused(snapshot: Snapshot, cluster: ClusterSnapshot, ca: CaFacts, wrong: str) -> Failure:
    return Failure(
        clusters=(cluster.name,),
        object=CACERTS,
        evidence=(f"form {ca.form}: {wrong}", *times(cluster, ca)),
        cause="istiod does not take a CA that is incomplete or does not fit its key: one that "
        "runs goes on with the old one, one that starts fails or makes a root of its own",
        fix=up(snapshot),
    )


def _met(served: Iterable[tuple[str, Chain]], signing: CertificateFacts) -> Iterator[str]:
    """Yield what istiod presents at its own ports, where another CA signed it."""
    for where, chain in served:
        if not is_issuer(signing, chain[0]):
            yield f"istiod at {where} presents a certificate issued by {chain[0].issuer}"


def _other(
    snapshot: Snapshot,
    cluster: ClusterSnapshot,
    ca: CaFacts,
    signing: CertificateFacts,
    met: Iterable[str],
) -> Iterator[Failure]:
    stack = stack_of(snapshot)
    rereads = stack is None or stack.rereads_cacerts
    certain = is_settled(ca, snapshot) or not rereads
    if seen := [*met, *_signatures(snapshot, cluster, ca, signing)][:SHOWN]:
        yield Failure(
            clusters=(cluster.name,),
            object=CACERTS,
            evidence=(f"cacerts signs as {describe(signing)}", *seen, *times(cluster, ca)),
            cause=_why(rereads, certain),
            fix=restart(cluster),
            severity=None if certain else "warning",
            certain=certain,
        )


def _signatures(
    snapshot: Snapshot, cluster: ClusterSnapshot, ca: CaFacts, signing: CertificateFacts
) -> Iterator[str]:
    """Yield leaves younger than the Secret, where another CA signed them.

    Older leaves of a former intermediate are in order: a proxy renews its own at half its life.
    """
    for proxy in signed_proxies(snapshot, cluster):
        leaf = next(iter(proxy.leaf), None)
        if leaf and ca.changed_at and _is_younger(leaf, ca.changed_at):
            if not is_issuer(signing, leaf):
                when = utc(leaf.not_before)
                yield f"{proxy.namespace}/{proxy.pod} got one at {when} from {leaf.issuer}"


def _is_younger(leaf: CertificateFacts, changed: float) -> bool:
    return leaf.not_before > changed + SETTLED


def _why(rereads: bool, certain: bool) -> str:
    if not rereads:
        return "this version of istiod reads cacerts at its start alone, and has not been restarted"
    if not certain:
        return (
            "either istiod has not seen the change yet (kubelet refreshes a mounted Secret about "
            "once a minute), or it did not take it up"
        )
    return "istiod did not take up the changed Secret: it signs with the CA that it had before"


ANALYZERS = (other_signer,)
