"""What one replica of istiod knows, read once, in order to be asked for cluster after cluster."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from isthmus.diagnosis.fields import dig, texts
from isthmus.diagnosis.gateway_facts import plain
from isthmus.diagnosis.services import MeshService, services
from isthmus.diagnosis.snapshot import IstiodSnapshot, Object, Snapshot

Shards = dict[str, set[str]]
"""The addresses of one service that a replica has, by the cluster's ID."""


@dataclass(frozen=True)
class Replica:
    """A replica of the host's istiod; what it did not tell is empty."""

    istiod: IstiodSnapshot
    clusters: Mapping[str, Object]
    """/debug/clusterz by the cluster's ID."""
    shards: Mapping[MeshService, Shards]
    """/debug/endpointShardz of each service that is looked at."""
    gateways: frozenset[str]
    """Every text of /debug/networkz, addresses in their one form."""


def replicas(snapshot: Snapshot) -> list[Replica]:
    """Return the host's ready replicas."""
    looked_at = services(snapshot)
    return [
        Replica(
            istiod,
            {str(c.get("id")): c for c in reversed(istiod.clusters or [])},
            {service: _shards(istiod.endpoint_shards, service) for service in looked_at},
            frozenset(_leaves(istiod.networks)),
        )
        for istiod in snapshot.host.istiods
        if istiod.ready
    ]


def _shards(told: Object | None, service: MeshService) -> Shards:
    """Return the addresses that istiod has of a service.

    Its JSON names shards `Kubernetes/CLUSTER`, in old versions `CLUSTER`, each with endpoints
    (istio pilot/pkg/model/endpointshards.go).
    """
    found = dig(told, service.host, service.namespace)
    found = dig(found, "Shards") or found
    shards: Shards = {}
    for name, endpoints in found.items() if isinstance(found, dict) else ():
        shards.setdefault(str(name).rpartition("/")[2], set()).update(_addresses(endpoints))
    return shards


def _addresses(endpoints: Any) -> Iterator[str]:
    for each in endpoints if isinstance(endpoints, list) else ():
        if isinstance(each, dict):
            yield from texts(each.get("Addresses")) or [str(each.get("Address", ""))]
        else:
            yield str(each)


def _leaves(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for each in value.values():
            yield from _leaves(each)
    elif isinstance(value, list):
        for each in value:
            yield from _leaves(each)
    elif isinstance(value, str):
        yield plain(value)
