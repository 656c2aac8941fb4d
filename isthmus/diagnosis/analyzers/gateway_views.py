"""Which networks' endpoints a gateway sees: its own alone, or it sends requests back."""

from collections.abc import Iterator

from isthmus.diagnosis.finding import Failure, analyzer
from isthmus.diagnosis.gateway_facts import entries, ip, resolutions, shown
from isthmus.diagnosis.services import up
from isthmus.diagnosis.snapshot import ClusterSnapshot, ProxyEndpoint, ProxySnapshot, Snapshot

VIEW = "ISTIO_META_REQUESTED_NETWORK_VIEW"


@analyzer("F32", "A gateway sends requests on to another network's gateway")
def sends_back(snapshot: Snapshot) -> Iterator[Failure]:
    """Find gateways whose own tables list other networks' gateways, or that see every network.

    Source: istio releasenotes/notes/network-view-eps.yaml: without the view requests go back to
    the network that they came from.
    """
    ways = {c.name: {a for a, _ in entries(snapshot, c)} for c in snapshot.clusters}
    told = resolutions(snapshot)
    for cluster in snapshot.clusters:
        foreign = _foreign(snapshot, cluster, ways, told)
        for proxy in cluster.proxies:
            if proxy.kind != "gateway" or not foreign:
                continue
            back = sorted({e.text for t in _inner(proxy) for e in t if e.address in foreign})
            if back or _sees_all(proxy):
                yield _sends_back(snapshot, cluster, proxy, back)


def _foreign(
    snapshot: Snapshot,
    cluster: ClusterSnapshot,
    ways: dict[str, set[str]],
    told: dict[str, dict[str, set[str]]],
) -> set[str]:
    """Return where the gateways of other networks are; empty if there is no other network."""
    known: set[str] = set()
    own: set[str] = set()
    for other in snapshot.clusters:
        (own if other.network == cluster.network else known).update(ways[other.name])
    names = [name for name in known if not ip(name)]
    return known.union(*(got for name in names for got in told.get(name, {}).values())) - own


def _inner(proxy: ProxySnapshot) -> list[list[ProxyEndpoint]]:
    """Return the tables by which a gateway hands on what came from other networks."""
    return [table for name, table in proxy.endpoints.items() if name.startswith("outbound_.")]


def _sees_all(proxy: ProxySnapshot) -> bool:
    asked = proxy.version and not proxy.errors
    return bool(asked) and proxy.requested_network_view is None and VIEW not in proxy.env


def _sends_back(
    snapshot: Snapshot, cluster: ClusterSnapshot, proxy: ProxySnapshot, back: list[str]
) -> Failure:
    view = ",".join(proxy.requested_network_view or ()) or proxy.env.get(VIEW) or "not set"
    where = f"{proxy.namespace}/{proxy.pod}"
    lists = (f"{cluster.name}: gateway {where} lists {shown(back)}, gateways of other networks",)
    cause = f"{VIEW} is not {cluster.network}, its own network, so the gateway also hands requests "
    cause += "back to the networks that they came from"
    if view == cluster.network:
        cause = f"istiod takes those gateways for some of {cluster.network}: the label "
        cause += "topology.istio.io/network of their Services says so"
    return Failure(
        clusters=(cluster.name,),
        object=f"Pod {where}",
        evidence=(*(lists if back else ()), f"{cluster.name}: {VIEW} of {where} is {view}"),
        cause=cause,
        fix=up(snapshot),
        severity="error" if back else "warning",
        certain=view != cluster.network,
    )


ANALYZERS = (sends_back,)
