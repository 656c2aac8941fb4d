"""How far each proxy has taken what istiod sent: by /debug/syncz of every replica."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from isthmus.diagnosis.snapshot import Object, ProxySnapshot, Snapshot

TYPES = {"cluster": "CDS", "listener": "LDS", "endpoint": "EDS"}
"""What every sidecar asks for; routes and extensions it may have none of (xds/debug.go,
SyncStatus: `cluster_sent`, `cluster_acked` and so on)."""
CONNECTED, NOT_CONNECTED = "", "connected to no istiod"


@dataclass(frozen=True)
class ProxyStates:
    """What all replicas say of proxies, in order to be asked for one after the other."""

    entries: Mapping[tuple[str, str], list[Object]]
    """By `pod.namespace`, and by the ID of its cluster, which is empty where it is not told."""
    complete: bool
    """Whether a proxy that is not among them is connected to none."""

    def of(self, cluster: str, proxy: ProxySnapshot) -> str | None:
        """Return what is wrong with a proxy's updates, nothing if it has all; None: not known."""
        name, ids = f"{proxy.pod}.{proxy.namespace}", dict.fromkeys(("", cluster, proxy.cluster_id))
        found = [entry for own in ids for entry in self.entries.get((name, own), ())]
        if found:
            return "; ".join(dict.fromkeys(said for entry in found for said in _behind(entry)))
        return NOT_CONNECTED if self.complete else None


def proxy_states(snapshot: Snapshot) -> ProxyStates:
    """Return what /debug/syncz of every replica says of proxies."""
    istiods = [istiod for c in snapshot.clusters for istiod in c.istiods]
    told = [istiod for istiod in snapshot.host.istiods if istiod.ready]
    asked = not any(istiod.proxies is None for istiod in istiods)
    entries: dict[tuple[str, str], list[Object]] = {}
    for entry in (each for istiod in istiods for each in istiod.proxies or []):
        for name in _names(entry):
            own = str(entry.get("cluster_id") or "")
            entries.setdefault((name, own), []).append(entry)
    return ProxyStates(entries, asked and any(istiod.proxies for istiod in told))


def _names(entry: Object) -> set[str]:
    """Return the `pod.namespace` of an entry, in either form of a proxy's name."""
    name = str(entry.get("proxy", ""))
    return {name, name.split("~")[2] if name.count("~") > 1 else name}


def _behind(entry: Object) -> Iterator[str]:
    for kind, name in TYPES.items():
        sent, acked = entry.get(f"{kind}_sent"), entry.get(f"{kind}_acked")
        if not sent:
            yield f"{name} NOT SENT"
        elif sent != acked:
            yield f"{name} STALE"
    for error in _errors(entry.get("resources")):
        yield f"it refused an update: {error}"


def _errors(resources: Any) -> Iterator[str]:
    for each in resources.values() if isinstance(resources, dict) else ():
        if isinstance(each, dict) and each.get("lastError"):
            yield str(each["lastError"])[:200]
