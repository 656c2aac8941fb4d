"""The ways between clusters as they were tried from pods, and whose side a shut one is on."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

from isthmus.diagnosis.fields import dig, mappings
from isthmus.diagnosis.finding import kubectl
from isthmus.diagnosis.gateway_facts import ip
from isthmus.diagnosis.objects import listed
from isthmus.diagnosis.snapshot import ClusterSnapshot, Snapshot, TlsProbe

Pair = tuple[str, str]
"""The cluster that asks, the cluster that is asked."""
Probes = Mapping[Pair, list[TlsProbe]]


def gateway_probes(snapshot: Snapshot) -> dict[tuple[str, str], list[TlsProbe]]:
    """Return what came of the ways from one cluster to another's gateway, by that pair.

    Addresses of a family that the asking pods do not have are left out if there are others, as
    istiod does (istio pilot/pkg/xds/endpoints/ep_filters.go, filterGatewaysByIPFamily).
    """
    found: dict[tuple[str, str], list[TlsProbe]] = {}
    for probe in snapshot.probes:
        if probe.purpose == "gateway" and not probe.skipped and probe.source != probe.target:
            found.setdefault((probe.source, probe.target), []).append(probe)
    families = {cluster.name: pod_families(cluster) for cluster in snapshot.clusters}
    return {pair: _usable(families.get(pair[0], set()), tried) for pair, tried in found.items()}


def _usable(families: set[int], tried: list[TlsProbe]) -> list[TlsProbe]:
    usable = [p for p in tried if not (found := ip(p.host)) or found.version in families]
    return usable if families and usable else tried


def pod_families(cluster: ClusterSnapshot) -> set[int]:
    """Return the IP versions that a cluster's pods have."""
    every = (e for pod in listed(cluster, "Pod") for e in mappings(dig(pod, "status", "podIPs")))
    return {found.version for entry in every if (found := ip(str(entry.get("ip"))))}


def is_good(probe: TlsProbe) -> bool:
    """Tell whether TLS came about."""
    return probe.connected and not probe.error


class Shut(NamedTuple):
    """Ways that are shut, as far as they have one cluster in common."""

    clusters: tuple[str, ...]
    """The asked one if nobody gets there, the asking one if it gets nowhere, else the pair."""
    pairs: tuple[Pair, ...]
    probes: tuple[TlsProbe, ...]
    others_pass: bool
    """Whether another cluster gets to the one that is asked."""


def grouped(tried: Probes, is_shut: Callable[[list[TlsProbe]], bool]) -> Iterator[Shut]:
    """Yield the ways that are shut: by target, then by source, then what is left, pair by pair."""
    shut = [pair for pair, probes in tried.items() if is_shut(probes)]
    nobody = [t for t in _seconds(shut) if _are_all(shut, tried, 1, t)]
    for target in nobody:
        yield _shut((target,), [p for p in shut if p[1] == target], tried)
    rest = [pair for pair in shut if pair[1] not in nobody]
    nowhere = [s for s in _firsts(rest) if _are_all(shut, tried, 0, s) and _count(rest, s) > 1]
    for source in nowhere:
        yield _shut((source,), [p for p in rest if p[0] == source], tried)
    for pair in rest:
        if pair[0] not in nowhere:
            yield _shut(pair, [pair], tried)


def _shut(clusters: tuple[str, ...], pairs: list[Pair], tried: Probes) -> Shut:
    asked = {target for _, target in pairs}
    passing = any(p[1] in asked and p not in pairs and any(map(is_good, tried[p])) for p in tried)
    probes = tuple(probe for pair in pairs for probe in tried[pair])
    return Shut(clusters, tuple(pairs), probes, passing)


def _are_all(shut: list[Pair], tried: Probes, side: int, name: str) -> bool:
    """Tell whether all of several ways on one side of a cluster are shut."""
    every = [pair for pair in tried if pair[side] == name]
    return len(every) > 1 and all(pair in shut for pair in every)


def _count(pairs: list[Pair], source: str) -> int:
    return sum(pair[0] == source for pair in pairs)


def _firsts(pairs: Iterable[Pair]) -> list[str]:
    return list(dict.fromkeys(pair[0] for pair in pairs))


def _seconds(pairs: Iterable[Pair]) -> list[str]:
    return list(dict.fromkeys(pair[1] for pair in pairs))


def seen(probe: TlsProbe) -> str:
    """Return a line of what was tried and what came back."""
    pod = f" ({probe.source_pod})" if probe.source_pod else ""
    at = f" = {', '.join(probe.resolved)}" if probe.resolved and not ip(probe.host) else ""
    said = probe.error or ("TLS" if probe.certificates else "connected")
    way = f"{probe.source}{pod} -> {probe.target} {probe.endpoint}{at}"
    return f"{way}: {said} ({probe.seconds:.1f} s)"


def retry(probe: TlsProbe) -> str:
    """Return the command that tries a way once more."""
    space, _, pod = probe.source_pod.partition("/")
    dial = f"curl -sv --connect-timeout 5 -m 6 telnet://{probe.endpoint}"
    return kubectl(probe.source, f"-n {space} exec {pod} -c istio-proxy -- {dial}")
