"""Taking out of a cluster what was put there, found by its label and not by a list of ours."""

import time
from collections.abc import Iterable

from isthmus import events, polling
from isthmus.adapters.diff import ENVIRONMENT_LABEL, Manifest, deletion_blockers, describe, is_kept
from isthmus.adapters.discovery import is_foreign
from isthmus.adapters.kube import Kube
from isthmus.errors import ClusterUnreachable, Rejected

FIRST = ("ValidatingWebhookConfiguration", "MutatingWebhookConfiguration")
"""Left behind, they refuse every pod of a labelled namespace."""
LAST = ("Namespace", "CustomResourceDefinition")
CONTENTS = "pods endpoints endpointslices events replicasets controllerrevisions leases".split()
"""What owners and namespaces take along."""
ISTIOD = ("pilot-discovery", "istiod")
"""Names under which istiod's client writes (the program's, as client-go has it)."""
PROGRESS_AFTER_SECONDS = 10.0
"""Seconds after which it is told what an end waits for."""
DEFINITIONS = "apiextensions.k8s.io/v1"


def remove_owned(client: Kube, environment: str, api: str, kinds: Iterable[str]) -> int:
    """Leave no object of these kinds with the environment's label; return how many there were."""
    found = [m for kind in kinds for m in _owned(client, environment, api, kind)]
    _remove(client, found)
    return len(found)


def remove_all(client: Kube, api: str, kind: str) -> None:
    """Leave no object of a kind."""
    _remove(client, client.objects(kind, api=api))


def remove_everything(client: Kube, environment: str, root: str) -> int:
    """Leave no object with the environment's label, nor what its istiod wrote without one.

    That is its `root` (PEM) in other namespaces, and Gateway API's classes. A kind of others that
    cannot be listed is passed over and told. A namespace that was handed over stays, with all that
    is somebody else's.
    """
    known = client.kinds.deletable_kinds()
    kinds = [(api, kind) for api, kind, name in known if name not in CONTENTS]
    listed = [m for api, kind in kinds for m in _listed(client, environment, api, kind)]
    kept = [m for m in listed if is_kept(m)]
    found = [m for m in listed if not is_kept(m)]
    for group in _ordered(found):
        _remove(client, group, staying=frozenset(m["metadata"]["name"] for m in kept))
    _remove(client, _written_by_istiod(client, root))
    _remove_classes(client, root)
    for space in kept:
        _empty(client, space["metadata"]["name"])
        client.relinquish_fields(space)
    return len(found)


def _empty(client: Kube, space: str) -> None:
    """Leave nothing in a namespace that istiod wrote by itself: what its replicas elect leaders by.

    Source: istio pilot/pkg/leaderelection, ConfigMaps and Leases. An account that may not look at
    those is told of.
    """
    for api, kind in (("v1", "ConfigMap"), ("coordination.k8s.io/v1", "Lease")):
        try:
            found = client.objects(kind, space, api)
            _remove(client, [m for m in found if any(_wrote(m, name) for name in ISTIOD)])
        except Rejected as error:
            events.report_progress(f"{kind}s of istiod in {space} are left: {error.message}")


def _listed(client: Kube, environment: str, api: str, kind: str) -> list[Manifest]:
    """Return what is ours of a kind; of one that its server cannot list, nothing if it is others'.

    A conversion webhook or an extension server that is broken answers for its own kinds alone, and
    of those we make none.
    """
    try:
        return _owned(client, environment, api, kind)
    except (ClusterUnreachable, Rejected) as error:
        if not is_foreign(api):
            raise
        events.report_progress(f"{kind} ({api}) cannot be listed and is skipped: {error.message}")
        return []


def _remove_classes(client: Kube, root: str) -> None:
    """Leave no GatewayClass of our istiod; an account that may not delete them is told of."""
    classes = _classes(client, root)
    try:
        _remove(client, classes)
    except Rejected as error:
        names = ", ".join(describe(c) for c in classes)
        events.report_progress(f"{names}: made by istiod, and left: {error.message}")


def _classes(client: Kube, root: str) -> list[Manifest]:
    """Return the GatewayClasses that our istiod made; none while another one runs.

    Source: istio pilot/pkg/config/kube/gatewaycommon/gatewayclass.go; they bear no label.
    """
    if not root or client.objects("Deployment", api="apps/v1", labels="app=istiod"):
        return []
    found = client.objects("GatewayClass", api="gateway.networking.k8s.io/v1")
    return [c for c in found if any(_wrote(c, name) for name in ISTIOD)]


def _wrote(manifest: Manifest, manager: str) -> bool:
    return any(f.get("manager") == manager for f in manifest["metadata"].get("managedFields", []))


def remove_crds(client: Kube, domain: str) -> None:
    """Leave no custom kind of a domain, such as kubefed.io, and no object of such a kind."""
    found = client.objects("CustomResourceDefinition", api=DEFINITIONS)
    _remove(client, [m for m in found if m["metadata"]["name"].endswith(f".{domain}")])


def _written_by_istiod(client: Kube, root: str) -> list[Manifest]:
    """Return the ConfigMaps that our istiod wrote; another mesh has another root."""
    if not root:
        return []
    written = client.objects("ConfigMap", labels="istio.io/config=true")
    ours = {
        m["metadata"]["namespace"]
        for m in written
        if str(m.get("data", {}).get("root-cert.pem", "")).strip() == root.strip()
    }
    return [m for m in written if m["metadata"]["namespace"] in ours]


def _owned(client: Kube, environment: str, api: str, kind: str) -> list[Manifest]:
    return client.objects(kind, api=api, labels=f"{ENVIRONMENT_LABEL}={environment}")


def _ordered(found: list[Manifest]) -> list[list[Manifest]]:
    first = [m for m in found if m["kind"] in FIRST]
    last = [m for m in found if m["kind"] in LAST]
    return [first, [m for m in found if m["kind"] not in (*FIRST, *LAST)], last]


def _remove(client: Kube, manifests: list[Manifest], staying: frozenset[str] = frozenset()) -> None:
    """Make the objects gone; in a namespace that stays, with their pods: its end shows none."""
    for manifest in manifests:
        client.delete(manifest, owned_first=manifest["metadata"].get("namespace") in staying)
    left, begun, told = list(manifests), time.monotonic(), ""

    def gone() -> bool | None:
        nonlocal left, told
        left = [m for m in left if client.has_object(m)]
        if (
            left
            and time.monotonic() - begun > PROGRESS_AFTER_SECONDS
            and told != (now := _holding(client, left))
        ):
            told = now
            events.report_progress(f"waiting for the deletion of {told}")
        return None if left else True

    polling.until(
        gone,
        "the deleted objects to be gone",
        timeout=polling.timeouts().deletion,
        cluster=client.access.cluster,
        seen=lambda: _holding(client, left),
    )


def _holding(client: Kube, left: list[Manifest]) -> str:
    """Say what is still there, and what each says holds it up."""
    return "; ".join(f"{describe(m)}{deletion_blockers(_live(client, m))}" for m in left[:5])


def _live(client: Kube, manifest: Manifest) -> Manifest:
    meta = manifest["metadata"]
    place = meta.get("namespace", ""), manifest["apiVersion"]
    return client.get(manifest["kind"], meta["name"], *place) or {}
