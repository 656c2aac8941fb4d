"""Reading KubeFed's objects: is a member Ready, has an object reached every cluster."""

import time
from collections.abc import Iterable

from isthmus import waiting
from isthmus.adapters.kube import Kube
from isthmus.adapters.manifests import Manifest, describe

CORE = "core.kubefed.io/v1beta1"
TYPES = "types.kubefed.io/v1beta1"
NAMESPACE = "kube-federation-system"
RELEASE = "kubefed"
WEBHOOK = "kubefed-admission-webhook"
CONTROLLERS = "kubefed-controller-manager"
WATCHING = 1.0
"""Seconds from Ready to KubeFed's watches on the member; nothing shows them. An object that comes
before they run is looked at again after 10 s (kubefed pkg/controller/util, SyncedPollPeriod)."""


def point(host: Kube, name: str, server: str, authority: str) -> bool:
    """Make the federation reach a member at this URL, its TLS verified; tell whether it was not so.

    TLS checks were switched off for good if a kubeconfig did so when the member was joined.
    `authority` (base64 of PEM) is the CA that the kubeconfig has now; without one, what is there
    stays.
    """
    spec = (host.get("KubeFedCluster", name, NAMESPACE, CORE) or {}).get("spec", {})
    wanted: dict[str, object] = {"apiEndpoint": server}
    if authority and spec.get("disabledTLSValidations"):
        wanted |= {"disabledTLSValidations": None, "caBundle": authority}
    if all(spec.get(key) == value for key, value in wanted.items()):
        return False
    host.merge("KubeFedCluster", name, {"spec": wanted}, NAMESPACE, CORE)
    return True


def await_types(host: Kube) -> None:
    """Wait until KubeFed's controllers carry every kind that it has been told of."""
    waiting.until(
        lambda: None if idle_types(host) else True,
        "KubeFed's controllers to carry every kind",
        timeout=waiting.limits().federation,
        cluster=host.access.cluster,
        seen=lambda: f"not yet: {', '.join(idle_types(host))}",
    )


def idle_types(host: Kube) -> list[str]:
    """Return the kinds that KubeFed knows and does not carry yet."""
    found = host.objects("FederatedTypeConfig", NAMESPACE, CORE)
    return [
        t["metadata"]["name"]
        for t in found
        if t.get("status", {}).get("propagationController") != "Running"
    ]


def await_member(host: Kube, name: str) -> None:
    """Wait until KubeFed has called a member Ready for long enough to watch it."""
    since: float | None = None

    def watched() -> bool | None:
        nonlocal since
        if not member_is_ready(host, name):
            since = None
            return None
        since = since or time.monotonic()
        return True if time.monotonic() - since > WATCHING else None

    waiting.until(
        watched,
        f"KubeFedCluster {name} to be Ready",
        timeout=waiting.limits().federation,
        cluster=name,
        seen=lambda: _conditions(host.get("KubeFedCluster", name, NAMESPACE, CORE)),
    )


def member_is_ready(host: Kube, name: str) -> bool:
    """Tell whether the federation has this member and its health check passes."""
    found = host.get("KubeFedCluster", name, NAMESPACE, CORE) or {}
    conditions = found.get("status", {}).get("conditions", [])
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


def await_propagated(host: Kube, manifest: Manifest, clusters: Iterable[str]) -> None:
    """Wait until KubeFed says that the object, as it is now, is in each of these clusters."""
    wanted = set(clusters)
    waiting.until(
        lambda: True if wanted <= reached(_live(host, manifest)) else None,
        f"{describe(manifest)} in {', '.join(sorted(wanted))}",
        timeout=waiting.limits().federation,
        cluster=host.access.cluster,
        seen=lambda: _problems(_live(host, manifest)),
    )


def reached(live: Manifest) -> set[str]:
    """Return the clusters in which the object's present generation is.

    Rule: kubefed pkg/controller/sync/status/status.go; an absent cluster status means OK.
    """
    status = live.get("status", {})
    conditions = {c["type"]: c["status"] for c in status.get("conditions", [])}
    fresh = status.get("observedGeneration") == live.get("metadata", {}).get("generation")
    if not fresh or conditions.get("Propagation") != "True":
        return set()
    return {c["name"] for c in status.get("clusters", []) if not c.get("status")}


def _live(host: Kube, manifest: Manifest) -> Manifest:
    meta = manifest["metadata"]
    found: Manifest = host.get(manifest["kind"], meta["name"], meta["namespace"], TYPES) or {}
    return found


def _problems(live: Manifest) -> str:
    status = live.get("status", {})
    parts = [f"{c['name']}: {c['status']}" for c in status.get("clusters", []) if c.get("status")]
    return ", ".join(parts) or _conditions(live)


def _conditions(live: Manifest | None) -> str:
    found = (live or {}).get("status", {}).get("conditions", [])
    return (
        ", ".join(f"{c['type']}={c['status']} {c.get('reason') or ''}" for c in found) or "nothing"
    )
