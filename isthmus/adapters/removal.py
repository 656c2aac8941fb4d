"""Taking out of a cluster what was put there, found by its label and not by a list of ours."""

from collections.abc import Iterable

from isthmus import waiting
from isthmus.adapters.kube import Kube
from isthmus.adapters.manifests import LABEL, Manifest, describe

GONE = 180.0
"""Seconds for namespaces and finalizers to end."""
FIRST = ("ValidatingWebhookConfiguration", "MutatingWebhookConfiguration")
"""Left behind, they refuse every pod of a labelled namespace."""
LAST = ("Namespace", "CustomResourceDefinition")
CONTENTS = "pods endpoints endpointslices events replicasets controllerrevisions leases".split()
"""What owners and namespaces take along."""
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
    """Leave no object with the environment's label, nor its `root` (PEM) in other namespaces."""
    kinds = [(api, kind) for api, kind, name in client.kinds.removable() if name not in CONTENTS]
    found = [m for api, kind in kinds for m in _owned(client, environment, api, kind)]
    for group in _ordered(found):
        _remove(client, group)
    _remove(client, _written_by_istiod(client, root))
    return len(found)


def remove_kinds(client: Kube, domain: str) -> None:
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
    return client.objects(kind, api=api, labels=f"{LABEL}={environment}")


def _ordered(found: list[Manifest]) -> list[list[Manifest]]:
    first = [m for m in found if m["kind"] in FIRST]
    last = [m for m in found if m["kind"] in LAST]
    return [first, [m for m in found if m["kind"] not in (*FIRST, *LAST)], last]


def _remove(client: Kube, manifests: list[Manifest]) -> None:
    for manifest in manifests:
        client.delete(manifest)
    left = list(manifests)

    def gone() -> bool | None:
        nonlocal left
        left = [m for m in left if client.has(m)]
        return None if left else True

    waiting.until(
        gone,
        "end of what was deleted",
        timeout=GONE,
        cluster=client.access.cluster,
        seen=lambda: ", ".join(describe(m) for m in left[:5]),
    )
