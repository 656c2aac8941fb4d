"""Reading KubeFed's objects: is a member Ready, has an object reached every cluster."""

import time
from collections.abc import Mapping

from isthmus import polling
from isthmus.adapters.diff import Manifest, deletion_blockers, describe, is_ready
from isthmus.adapters.kube import Kube
from isthmus.environment.namespaces import KUBEFED_NAMESPACE

CORE_API = "core.kubefed.io/v1beta1"
TYPES_API = "types.kubefed.io/v1beta1"
TARGETS = {
    "FederatedNamespace": ("v1", "Namespace"),
    "FederatedSecret": ("v1", "Secret"),
    "FederatedDeployment": ("apps/v1", "Deployment"),
}
"""Kinds that we federate, and what KubeFed makes of each in the members: API and kind."""
TERMINATING = "still terminating"
RELEASE = "kubefed"
WEBHOOK = "kubefed-admission-webhook"
CONTROLLERS = "kubefed-controller-manager"
WATCH_START_SECONDS = 1.0
"""Seconds from Ready to KubeFed's watches on the member; nothing shows them. An object that comes
before they run is looked at again after 10 s (kubefed pkg/controller/util, SyncedPollPeriod)."""


def set_api_endpoint(host: Kube, name: str, server: str, authority: str) -> bool:
    """Make the federation reach a member at this URL, its TLS verified; tell whether it was not so.

    TLS checks were switched off for good if a kubeconfig did so when the member was joined.
    `authority` (base64 of PEM) is the CA that the kubeconfig has now; without one, what is there
    stays.
    """
    spec = (host.get("KubeFedCluster", name, KUBEFED_NAMESPACE, CORE_API) or {}).get("spec", {})
    wanted: dict[str, object] = {"apiEndpoint": server}
    if authority and spec.get("disabledTLSValidations"):
        wanted |= {"disabledTLSValidations": None, "caBundle": authority}
    if all(spec.get(key) == value for key, value in wanted.items()):
        return False
    host.merge_patch("KubeFedCluster", name, {"spec": wanted}, KUBEFED_NAMESPACE, CORE_API)
    return True


def await_types(host: Kube) -> None:
    """Wait until KubeFed's controllers carry every kind that it has been told of."""
    polling.until(
        lambda: None if idle_types(host) else True,
        "KubeFed's controllers to propagate every kind",
        timeout=polling.timeouts().federation,
        cluster=host.access.cluster,
        seen=lambda: f"not yet: {', '.join(idle_types(host))}",
    )


def idle_types(host: Kube) -> list[str]:
    """Return the kinds that KubeFed knows and does not carry yet."""
    found = host.objects("FederatedTypeConfig", KUBEFED_NAMESPACE, CORE_API)
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
        return True if time.monotonic() - since > WATCH_START_SECONDS else None

    polling.until(
        watched,
        f"KubeFedCluster {name} to be Ready",
        timeout=polling.timeouts().federation,
        cluster=name,
        seen=lambda: _conditions(host.get("KubeFedCluster", name, KUBEFED_NAMESPACE, CORE_API)),
    )


def member_is_ready(host: Kube, name: str) -> bool:
    """Tell whether the federation has this member and its health check passes."""
    found = host.get("KubeFedCluster", name, KUBEFED_NAMESPACE, CORE_API) or {}
    return is_ready(found)


def missing_in_members(manifest: Manifest, members: Mapping[str, Kube]) -> list[str]:
    """Return what is not, or is ending, of a federated object in members, by federation's name."""
    target = describe({**manifest, "kind": TARGETS[manifest["kind"]][1]})
    return [f"{target} in {name}" for name, member in members.items() if _lack(member, manifest)]


def await_propagated(host: Kube, manifest: Manifest, members: Mapping[str, Kube]) -> None:
    """Wait until the object, as it is now, is in each of these members, as KubeFed and they say.

    What was deleted in a member is in KubeFed's status until KubeFed has seen it, and what is
    ending there until it has ended: with a namespace's pods, that takes as long as a deletion.
    """
    what = f"{describe(manifest)} to be propagated to {', '.join(sorted(members))}"
    cluster, limits = host.access.cluster, polling.timeouts()
    polling.until(
        lambda: None if TERMINATING in _lacking(manifest, members) else True,
        what,
        timeout=limits.deletion,
        cluster=cluster,
        seen=lambda: _lacking(manifest, members),
    )
    polling.until(
        lambda: True if is_propagated(host, manifest, members) else None,
        what,
        timeout=limits.federation,
        cluster=cluster,
        seen=lambda: _why(host, manifest, members),
    )


def _why(host: Kube, manifest: Manifest, members: Mapping[str, Kube]) -> str:
    live = _live(host, manifest)
    return _problems(live) or _lacking(manifest, members) or _conditions(live)


def is_propagated(host: Kube, manifest: Manifest, members: Mapping[str, Kube]) -> bool:
    """Tell whether the object, as it is now, is in each of these members."""
    return members.keys() <= reached(_live(host, manifest)) and not _lacking(manifest, members)


def _lacking(manifest: Manifest, members: Mapping[str, Kube]) -> str:
    """Say in which members the object is not, and why; nothing once it is in all."""
    said = {name: _lack(member, manifest) for name, member in members.items()}
    return ", ".join(f"{name}: {why}" for name, why in said.items() if why)


def _lack(member: Kube, manifest: Manifest) -> str:
    """Say why what KubeFed makes of an object is not in a member, or not for long; else nothing."""
    meta, (api, kind) = manifest["metadata"], TARGETS[manifest["kind"]]
    found = member.get(kind, meta["name"], meta["namespace"], api)
    if found and found["metadata"].get("deletionTimestamp"):
        return TERMINATING + deletion_blockers({"kind": kind, **found})
    return "" if found else "not found"


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
    found: Manifest = host.get(manifest["kind"], meta["name"], meta["namespace"], TYPES_API) or {}
    return found


def _problems(live: Manifest) -> str:
    status = live.get("status", {})
    parts = [f"{c['name']}: {c['status']}" for c in status.get("clusters", []) if c.get("status")]
    return ", ".join(parts)


def _conditions(live: Manifest | None) -> str:
    found = (live or {}).get("status", {}).get("conditions", [])
    return (
        ", ".join(f"{c['type']}={c['status']} {c.get('reason') or ''}" for c in found) or "nothing"
    )
