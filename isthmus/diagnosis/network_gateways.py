"""What istiod's replicas say of gateways and endpoints, in the form of any version."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from isthmus.diagnosis.fields import mappings
from isthmus.diagnosis.gateway_facts import whole
from isthmus.diagnosis.snapshot import IstiodSnapshot, Object, Snapshot


class KnownGateway(NamedTuple):
    """One entry of /debug/networkz."""

    network: str
    address: str
    port: int


class Shard(NamedTuple):
    """The addresses that istiod holds of one service in one cluster (/debug/endpointShardz)."""

    host: str
    namespace: str
    cluster: str
    """The cluster's ID, by which istiod reads it."""
    addresses: tuple[str, ...]


def known_gateways(snapshot: Snapshot) -> list[KnownGateway]:
    """Return the gateways that the host's replicas know, each once."""
    found = (g for istiod in snapshot.host.istiods for g in gateways_of(istiod))
    return list(dict.fromkeys(found))


def gateways_of(istiod: IstiodSnapshot) -> Iterator[KnownGateway]:
    """Yield the gateways that one replica knows (model.NetworkGateway: fields without tags)."""
    for entry in istiod.networks or []:
        inner = mappings(_field(entry, "gateways"))
        for gateway in inner or [entry]:
            network = _field(gateway, "network") or _field(entry, "network")
            if address := _field(gateway, "addr") or _field(gateway, "address"):
                yield KnownGateway(str(network or ""), str(address), whole(_field(gateway, "port")))


def _field(item: Object, name: str) -> Any:
    return next((value for key, value in item.items() if key.lower() == name), None)


def shards(istiod: IstiodSnapshot) -> Iterator[Shard]:
    """Yield what a replica holds of each service in each cluster."""
    for host, spaces in (istiod.endpoint_shards or {}).items():
        for space, found in spaces.items() if isinstance(spaces, dict) else ():
            if not isinstance(found, dict):
                continue
            by_key = found.get("Shards", found)
            for key, endpoints in by_key.items() if isinstance(by_key, dict) else ():
                provider, _, cluster = str(key).rpartition("/")
                if provider in ("", "Kubernetes"):
                    yield Shard(host, str(space), cluster, tuple(_addresses(endpoints)))


def _addresses(endpoints: Any) -> Iterator[str]:
    for endpoint in endpoints if isinstance(endpoints, list) else ():
        if isinstance(endpoint, str):
            yield endpoint
        elif isinstance(endpoint, dict):
            many = _field(endpoint, "addresses")
            yield from map(str, many if isinstance(many, list) else [_field(endpoint, "address")])
