"""The ways between clusters as they were tried from pods, and whose side a shut one is on."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

from isthmus.diagnosis.fields import dig, mappings
from isthmus.diagnosis.finding import kubectl
from isthmus.diagnosis.gateway_facts import ip
from isthmus.diagnosis.objects import listed
from isthmus.diagnosis.snapshot import ClusterSnapshot, Snapshot, TlsProbe

Pair = tuple[str, str]
"""The cluster that asks, the cluster that is asked."""
SOURCE, TARGET = 0, 1
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
    if len(tried) == 1 or not families:
        return tried
    usable = [p for p in tried if not (found := ip(p.host)) or found.version in families]
    return usable or tried


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
    good = _by_side([p for p in tried if any(map(is_good, tried[p]))], TARGET) if shut else {}
    nobody = _all_shut(shut, tried, TARGET)
    for target, pairs in nobody.items():
        yield _shut((target,), pairs, tried, good)
    rest = [pair for pair in shut if pair[TARGET] not in nobody]
    alone, left = _all_shut(shut, tried, SOURCE), _by_side(rest, SOURCE)
    nowhere = {s: pairs for s, pairs in left.items() if s in alone and len(pairs) > 1}
    for source, pairs in nowhere.items():
        yield _shut((source,), pairs, tried, good)
    for pair in rest:
        if pair[SOURCE] not in nowhere:
            yield _shut(pair, [pair], tried, good)


def _shut(
    clusters: tuple[str, ...], pairs: list[Pair], tried: Probes, good: Mapping[str, list[Pair]]
) -> Shut:
    own, asked = set(pairs), dict.fromkeys(target for _, target in pairs)
    passing = any(pair not in own for target in asked for pair in good.get(target, ()))
    probes = tuple(probe for pair in pairs for probe in tried[pair])
    return Shut(clusters, tuple(pairs), probes, passing)


def _all_shut(shut: list[Pair], tried: Probes, side: int) -> dict[str, list[Pair]]:
    """Return the clusters of which several ways were tried on one side, and all are shut."""
    every = Counter(pair[side] for pair in tried)
    found = _by_side(shut, side)
    return {name: pairs for name, pairs in found.items() if 1 < len(pairs) == every[name]}


def _by_side(pairs: Iterable[Pair], side: int) -> dict[str, list[Pair]]:
    found: dict[str, list[Pair]] = {}
    for pair in pairs:
        found.setdefault(pair[side], []).append(pair)
    return found


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
