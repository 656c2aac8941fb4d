"""Addresses that proxies are sent to and that no live cluster has, and clusters that are gone."""

from collections.abc import Iterator
from typing import NamedTuple

from isthmus.diagnosis.fields import dig
from isthmus.diagnosis.finding import Failure, analyzer, kubectl
from isthmus.diagnosis.gateway_facts import SHOWN, ip, plain, shown
from isthmus.diagnosis.known_addresses import known_addresses
from isthmus.diagnosis.network_gateways import gateways_of, shards
from isthmus.diagnosis.objects import full_name, listed, name_of, namespace_of, was_listed
from isthmus.diagnosis.snapshot import ClusterSnapshot, Object, RemoteSecretFacts, Snapshot
from isthmus.diagnosis.wiring import is_placed, owners
from isthmus.environment.namespaces import ISTIO_NAMESPACE

ENTRY = "WorkloadEntry"


class Use(NamedTuple):
    """A pod that sends requests to an address, or tells others to."""

    address: str
    cluster: str
    namespace: str
    pod: str
    istiod: bool
    why: str = ""

    @property
    def place(self) -> str:
        """Which pod it is, as a finding names it."""
        kind = "istiod" if self.istiod else "the proxy of"
        return f"{self.cluster}: {kind} {self.namespace}/{self.pod}{self.why}"

    @property
    def renewal(self) -> str:
        """What makes the pod forget: istiod reads all clusters anew, a proxy asks it anew."""
        words = "rollout restart deployment/istiod" if self.istiod else f"delete pod {self.pod}"
        return kubectl(self.cluster, f"-n {self.namespace} {words}")


@analyzer("F29", "Traffic is sent to a cluster or an address that is not there any more")
def not_there(snapshot: Snapshot) -> Iterator[Failure]:
    """Find remote secrets of clusters that the environment lacks, and addresses of nobody's."""
    strangers = _strangers(snapshot)
    yield from (_stranger(snapshot, secret) for secret in strangers)
    known = known_addresses(snapshot)
    by_address: dict[str, list[Use]] = {}
    for use in _uses(snapshot, {secret.key for secret in strangers}, known) if known else ():
        if ip(use.address) and plain(use.address) not in known:
            by_address.setdefault(use.address, []).append(use)
    for address, uses in by_address.items():
        yield _stale(snapshot, address, uses)


def _stale(snapshot: Snapshot, address: str, uses: list[Use]) -> Failure:
    told = [use for use in uses if use.istiod]
    left = [(c, e) for c in snapshot.clusters for e in _workload_entries(c, address)]
    cause = "istiod keeps an endpoint of a pod, a gateway or a cluster that is gone"
    if left:
        cause = "a WorkloadEntry was left of what is gone"
    elif told:
        cause = f"either a WorkloadEntry was left of what is gone, or {cause}"
    else:
        cause = "the proxies have not taken what istiod has sent since the address was given up"
    return Failure(
        clusters=(snapshot.host.name,) if told else tuple(dict.fromkeys(u.cluster for u in uses)),
        object=f"endpoint {address}",
        evidence=(
            f"{address} is used by {shown(dict.fromkeys(use.place for use in uses))}",
            "no pod, node, Service or ServiceEntry of any cluster has this address",
            *(f"{c.name}: {full_name(entry)} has it" for c, entry in left),
        ),
        cause=cause,
        fix="\n".join(_renewals(snapshot, address, told or uses, left)),
        certain=bool(left),
    )


def _renewals(
    snapshot: Snapshot, address: str, uses: list[Use], left: list[tuple[ClusterSnapshot, Object]]
) -> list[str]:
    """Return what makes everybody forget an address: its entry, else whoever keeps it."""
    if left:
        return [
            kubectl(c.name, f"-n {namespace_of(e)} delete workloadentry {name_of(e)}")
            for c, e in left
        ]
    fixes = list(dict.fromkeys(use.renewal for use in uses))[:SHOWN]
    if uses[0].istiod and not was_listed(snapshot.host, ENTRY):
        look = kubectl(snapshot.host.name, f"get workloadentries -A -o wide | grep -F {address}")
        return ["# if this shows one that was left, delete it; else what follows:", look, *fixes]
    return fixes


def _workload_entries(cluster: ClusterSnapshot, address: str) -> list[Object]:
    return [e for e in listed(cluster, ENTRY) if dig(e, "spec", "address") == address]


def _strangers(snapshot: Snapshot) -> list[RemoteSecretFacts]:
    """Return remote secrets that istiod reads and whose cluster the environment lacks."""
    known = owners(snapshot)
    return [s for s in snapshot.host.remote_secrets if is_placed(s) and known.of(s) is None]


def _stranger(snapshot: Snapshot, secret: RemoteSecretFacts) -> Failure:
    host, alive = snapshot.host.name, secret.login.status in (200, 201)
    name = f"Secret {secret.namespace}/{secret.name}"
    shards_of = (s for istiod in snapshot.host.istiods for s in shards(istiod))
    held = sorted({a for s in shards_of if s.cluster == secret.key for a in s.addresses})
    cause = "the cluster was removed, or its address changed, and its remote secret was left"
    delete = kubectl(host, f"-n {secret.namespace} delete secret {secret.name}")
    if alive:
        cause = "either the cluster was joined by hand, or taken out of the environment file alone"
        delete = f"# if it is to leave the mesh:\n{delete}"
    said = secret.login.message or ("it answers" if alive else "no answer")
    return Failure(
        clusters=(host,),
        object=name,
        evidence=(
            f"{host}: {name} is for {secret.key}, which the environment does not have",
            f"{secret.server or 'its API server'}: {said}",
            *((f"istiod has its endpoints {shown(held)}",) if held else ()),
        ),
        cause=cause,
        fix=delete,
        severity="warning" if alive else "error",
        certain=False,
    )


def _uses(snapshot: Snapshot, strangers: set[str], known: set[str]) -> Iterator[Use]:
    """Yield who uses addresses that are not known in the form in which they are used."""
    for cluster in snapshot.clusters:
        for proxy in cluster.proxies:
            place = cluster.name, proxy.namespace, proxy.pod, False
            for table in proxy.endpoints.values():
                yield from [Use(e.address, *place) for e in table if e.address not in known]
    for istiod in snapshot.host.istiods:
        place = snapshot.host.name, ISTIO_NAMESPACE, istiod.pod, True
        for gateway in gateways_of(istiod):
            yield Use(gateway.address, *place, f", as a gateway of {gateway.network}")
        for shard in shards(istiod):
            if shard.cluster not in strangers:
                yield from (Use(a, *place, f", in {shard.cluster}") for a in shard.addresses)


ANALYZERS = (not_there,)
