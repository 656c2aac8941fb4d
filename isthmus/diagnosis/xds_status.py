"""How far each proxy has taken what istiod sent: by /debug/syncz of every replica."""

from collections.abc import Iterator
from typing import Any

from isthmus.diagnosis.snapshot import Object, ProxySnapshot, Snapshot

TYPES = {"cluster": "CDS", "listener": "LDS", "endpoint": "EDS"}
"""What every sidecar asks for; routes and extensions it may have none of (xds/debug.go,
SyncStatus: `cluster_sent`, `cluster_acked` and so on)."""
CONNECTED, NOT_CONNECTED = "", "connected to no istiod"


def status(snapshot: Snapshot, cluster: str, proxy: ProxySnapshot) -> str | None:
    """Return what is wrong with a proxy's updates, nothing if it has all; None if not known."""
    istiods = [istiod for c in snapshot.clusters for istiod in c.istiods]
    found = [e for i in istiods for e in i.proxies or [] if _is_of(e, cluster, proxy)]
    if found:
        return "; ".join(dict.fromkeys(said for entry in found for said in _behind(entry)))
    told = [i for i in snapshot.host.istiods if i.ready]
    if not told or any(i.proxies is None for i in istiods) or not any(i.proxies for i in told):
        return None
    return NOT_CONNECTED


def _is_of(entry: Object, cluster: str, proxy: ProxySnapshot) -> bool:
    """Tell whether an entry is a proxy's: by `pod.namespace`, and its cluster where it is told."""
    name = str(entry.get("proxy", ""))
    names = {name, name.split("~")[2] if name.count("~") > 1 else ""}
    own = str(entry.get("cluster_id") or "")
    return f"{proxy.pod}.{proxy.namespace}" in names and own in ("", cluster, proxy.cluster_id)


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
