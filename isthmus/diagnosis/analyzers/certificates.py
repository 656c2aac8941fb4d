"""Whether the clusters trust each other: roots, chains, and the Secret cacerts."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from isthmus.diagnosis import ca_chain
from isthmus.diagnosis.finding import Failure, analyzer, kubectl
from isthmus.diagnosis.services import restarts, up
from isthmus.diagnosis.signers import CACERTS, chains_in_use, signer_of, signing_clusters
from isthmus.diagnosis.snapshot import (
    CaFacts,
    CertificateFacts,
    ClusterSnapshot,
    ProxySnapshot,
    Snapshot,
)
from isthmus.diagnosis.trust import (
    ROOT_CONFIG_MAP,
    Prints,
    describe,
    describe_all,
    given_roots,
    has_authority,
    leads_to,
    prints,
)
from isthmus.environment.namespaces import ISTIO_NAMESPACE

SHOWN = 5
Proxies = Mapping[str, Sequence[ProxySnapshot]]
"""By their cluster."""
NOBODY_SIGNS = "nobody signs with it while the host has the only istiod"


@analyzer("F19", "Clusters do not trust one root: CERTIFICATE_VERIFY_FAILED, UNKNOWN_CA")
def different_roots(snapshot: Snapshot) -> Iterator[Failure]:
    """A certificate that one side presents does not end below a root that the other holds."""
    yield from _proxies(snapshot)
    yield from _config_maps(snapshot)
    yield from _secrets(snapshot)
    for cluster in snapshot.clusters:
        if cluster.cacerts and not cluster.cacerts.error:
            yield from _chain(snapshot, cluster, cluster.cacerts)


def _proxies(snapshot: Snapshot) -> Iterator[Failure]:
    """Compare what the proxies of each cluster present with what those of each other trust."""
    holding = {c.name: _distinct(c, by_roots=True) for c in snapshot.clusters}
    presenting = {c.name: _distinct(c, by_roots=False) for c in snapshot.clusters}
    refused = _refused(holding, presenting)
    for asking in snapshot.clusters if refused else ():
        for asked in snapshot.clusters:
            pairs = [
                (one, other)
                for one in holding[asking.name]
                for other in presenting[asked.name]
                if (prints(one.roots), prints(other.leaf)) in refused
            ]
            if pairs:
                yield _untrusted(snapshot, asking, asked, pairs)


def _refused(holding: Proxies, presenting: Proxies) -> set[tuple[Prints, Prints]]:
    """Return which bundles of roots do not verify which chains, each looked at once."""
    bundles = {prints(p.roots): p.roots for proxies in holding.values() for p in proxies}
    chains = {prints(p.leaf): p.leaf for proxies in presenting.values() for p in proxies}
    return {
        (held, given)
        for held, roots in bundles.items()
        for given, chain in chains.items()
        if not leads_to(chain, roots)
    }


def _distinct(cluster: ClusterSnapshot, by_roots: bool) -> list[ProxySnapshot]:
    """Return one proxy for each bundle of roots, or for each chain above a leaf."""
    found: dict[tuple[str, ...], ProxySnapshot] = {}
    for proxy in cluster.proxies:
        if by_roots and proxy.roots:
            found.setdefault(tuple(sorted(c.fingerprint for c in proxy.roots)), proxy)
        elif not by_roots and proxy.leaf:
            own = proxy.leaf[0].authority_key_id or proxy.leaf[0].issuer
            above = (c.fingerprint for c in proxy.leaf[1:])
            found.setdefault((own, *above), proxy)
    return list(found.values())


def _untrusted(
    snapshot: Snapshot,
    asking: ClusterSnapshot,
    asked: ClusterSnapshot,
    pairs: Sequence[tuple[ProxySnapshot, ProxySnapshot]],
) -> Failure:
    evidence = []
    for one, other in pairs[:SHOWN]:
        evidence += [
            f"{one.namespace}/{one.pod} of {asking.name} trusts {describe_all(one.roots)}",
            f"{other.namespace}/{other.pod} of {asked.name} presents a certificate issued by "
            f"{other.leaf[0].issuer}, with {describe_all(other.leaf[1:])} above it",
        ]
    return Failure(
        clusters=tuple(dict.fromkeys((asking.name, asked.name))),
        evidence=tuple(dict.fromkeys(evidence)),
        cause="the two do not have a common root CA: mutual TLS between them fails with "
        "CERTIFICATE_VERIFY_FAILED (unable to get local issuer certificate) or UNKNOWN_CA",
        fix=_renew(snapshot, {c.name: c for c in (asking, asked)}),
    )


def _renew(snapshot: Snapshot, clusters: dict[str, ClusterSnapshot]) -> str:
    """Return how all get one root: the Secret, then the signers, then whoever holds an old one."""
    lines = [up(snapshot)]
    istiod = f"-n {ISTIO_NAMESPACE} rollout restart deployment/istiod"
    lines += [kubectl(c.name, istiod) for c in signing_clusters(snapshot)]
    for name, cluster in clusters.items():
        spaces = sorted({p.namespace for p in cluster.proxies})
        lines += restarts(name, spaces[:SHOWN])
    return "\n".join(dict.fromkeys(lines))


def _config_maps(snapshot: Snapshot) -> Iterator[Failure]:
    """Ask of each namespace's root whether it verifies what its istiod presents."""
    chains, given = chains_in_use(snapshot), given_roots(snapshot)
    for cluster in snapshot.clusters:
        chain, spaces = chains[cluster.name], given[cluster.name]
        other = {s: roots for s, roots in spaces.items() if roots and not leads_to(chain, roots)}
        if chain and other:
            yield _other_root(snapshot, cluster, other, chain)


def _other_root(
    snapshot: Snapshot,
    cluster: ClusterSnapshot,
    other: Mapping[str, Sequence[CertificateFacts]],
    chain: Sequence[CertificateFacts],
) -> Failure:
    by_root = defaultdict(list)
    for space, found in other.items():
        by_root[describe_all(found)].append(space)
    seen = tuple(f"in {', '.join(sorted(s)[:SHOWN])}: {root}" for root, s in by_root.items())
    signer = signer_of(snapshot, cluster).name
    delete = [f"-n {s} delete configmap {ROOT_CONFIG_MAP}" for s in sorted(other)[:SHOWN]]
    return Failure(
        clusters=(cluster.name,),
        object=f"ConfigMap {ROOT_CONFIG_MAP}",
        evidence=(
            *seen,
            f"the istiod of {signer} presents a certificate issued by {chain[0].issuer}, with "
            f"{describe_all(chain[1:])} above it",
        ),
        cause="new pods of these namespaces trust another root than that of the istiod that they "
        "ask: either another control plane writes the ConfigMap, or it was edited by hand",
        fix="\n".join([*(kubectl(cluster.name, words) for words in delete), up(snapshot)]),
        certain=False,
    )


def _secrets(snapshot: Snapshot) -> Iterator[Failure]:
    """Compare the roots in the clusters' Secrets cacerts with the host's."""
    host, signing = snapshot.host, {c.name for c in signing_clusters(snapshot)}
    known = host.cacerts.roots if host.cacerts else ()
    for cluster in snapshot.remotes if known else []:
        roots = cluster.cacerts.roots if cluster.cacerts else ()
        if not roots or any(has_authority(known, root) for root in roots):
            continue
        used = cluster.name in signing
        yield Failure(
            clusters=(cluster.name,),
            object=CACERTS,
            evidence=(
                f"root of {cluster.name}: {describe_all(roots)}",
                f"root of {host.name}: {describe_all(known)}",
            ),
            cause="the Secret cacerts was made apart in the two clusters, from two roots"
            + ("" if used else f"; {NOBODY_SIGNS}"),
            fix=_renew(snapshot, {cluster.name: cluster}) if used else up(snapshot),
            severity=None if used else "warning",
        )


def _chain(snapshot: Snapshot, cluster: ClusterSnapshot, ca: CaFacts) -> Iterator[Failure]:
    """Look at one Secret: is it signed by its root, and is its chain whole and in order?"""
    signs = cluster in signing_clusters(snapshot)
    if ca.signing and (fault := ca_chain.fault(ca)):
        yield Failure(
            clusters=(cluster.name,),
            object=CACERTS,
            evidence=(
                f"signing certificate: {describe(ca.signing)}, issued by {ca.signing.issuer}",
                f"root: {describe_all(ca.roots)}",
                f"chain: {describe_all(ca.chain)}",
            ),
            cause=fault.cause + ("" if signs else f"; {NOBODY_SIGNS}"),
            fix=up(snapshot),
            severity=None if fault.breaks and signs else "warning",
        )


ANALYZERS = (different_roots,)
