"""Whether a root that was put into the Secret cacerts has come to those who must trust it."""

from collections.abc import Iterator

from isthmus.diagnosis.finding import Failure, analyzer, kubectl
from isthmus.diagnosis.services import up
from isthmus.diagnosis.signers import (
    CACERTS,
    is_settled,
    new_roots,
    own_istiods,
    restart,
    signing_clusters,
    times,
    unusable,
)
from isthmus.diagnosis.snapshot import CaFacts, ClusterSnapshot, ProxySnapshot, Snapshot
from isthmus.diagnosis.trust import distributed_roots, has_authority

MULTI_ROOT = "ISTIO_MULTIROOT_MESH"
REFUSAL = "Multi root is disabled"
"""What istiod logs of a changed root (pilot/pkg/bootstrap/istio_ca.go, handleEvent)."""
SHOWN = 5


@analyzer("F34", "istiod keeps the old root: proxies do not know the new one in cacerts")
def root_not_taken_up(snapshot: Snapshot) -> Iterator[Failure]:
    """The root in cacerts was changed, and is not among those that proxies trust."""
    for cluster in signing_clusters(snapshot):
        ca = cluster.cacerts
        if ca is None or unusable(ca):
            continue
        if _takes_roots(cluster) and not is_settled(ca, snapshot):
            continue  # without the switch, waiting is no use
        if lacking := new_roots(snapshot, cluster, ca):
            yield _kept(snapshot, cluster, ca, lacking)


def _takes_roots(cluster: ClusterSnapshot) -> bool:
    """Tell whether a running istiod takes up a changed root; one that was not asked may."""
    switches = [i.env.get(MULTI_ROOT, "").lower() for i in cluster.istiods]
    return not switches or any(switch in ("true", "1", "t") for switch in switches)


def _kept(
    snapshot: Snapshot,
    cluster: ClusterSnapshot,
    ca: CaFacts,
    lacking: dict[str, list[ProxySnapshot]],
) -> Failure:
    given_out = distributed_roots(cluster)
    old = bool(given_out) and not all(has_authority(given_out, root) for root in ca.roots)
    switch = [i.env.get(MULTI_ROOT, "unset") for i in cluster.istiods]
    said = [line for i in cluster.istiods for line in i.log if REFUSAL in line][-1:]
    evidence = [f"new in cacerts: {', '.join(lacking)}"]
    evidence += [_holders(proxies) for proxies in list(lacking.values())[:1]]
    evidence += [f"{MULTI_ROOT}: {', '.join(dict.fromkeys(switch)) or 'not known'}"]
    evidence += [f"istiod's log: {line[:300]}" for line in said]
    return Failure(
        clusters=(cluster.name,),
        object=CACERTS,
        evidence=(*evidence, *times(cluster, ca)),
        cause=_why_kept(old),
        fix=_back_or_forward(snapshot, cluster, old),
        certain=old,
    )


def _holders(proxies: list[ProxySnapshot]) -> str:
    names = [f"{p.namespace}/{p.pod} of {p.cluster_id or 'its cluster'}" for p in proxies[:SHOWN]]
    return f"not trusted by {len(proxies)} proxies, such as {', '.join(names)}"


def _why_kept(old: bool) -> str:
    if old:
        return (
            f"a running istiod takes a changed root only with {MULTI_ROOT}=true, and only a bundle "
            "that contains the old root or is contained in it; it goes on with the old CA"
        )
    return (
        "istiod gives the new root out, but these proxies have not taken it: either they lack "
        "PROXY_CONFIG_XDS_AGENT=true, or they do not reach istiod"
    )


def _back_or_forward(snapshot: Snapshot, cluster: ClusterSnapshot, old: bool) -> str:
    """Return how the known root comes back; or how all get the new one, with an interruption."""
    clusters = [c for c in snapshot.clusters if c is cluster or not own_istiods(snapshot)]
    spaces = [(c, s) for c in clusters for s in sorted({p.namespace for p in c.proxies})]
    restarts = [kubectl(c.name, f"-n {s} rollout restart deployment") for c, s in spaces[:10]]
    if not old:
        return "\n".join(restarts)
    forward = "; ".join([restart(cluster), *restarts])
    back = f"{up(snapshot)}  # puts the root of the environment back"
    return f"{back}\n# to change it all the same, with an interruption:\n{forward}"


ANALYZERS = (root_not_taken_up,)
