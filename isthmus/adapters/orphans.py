"""Objects of KubeFed whose kind was deleted: nobody may be left who lets them end."""

from isthmus import events, polling
from isthmus.adapters.diff import Manifest, deletion_blockers, describe, owner_of
from isthmus.adapters.kube import Kube
from isthmus.adapters.kubefed import CORE_API, TYPES_API
from isthmus.environment.namespaces import KUBEFED_NAMESPACE
from isthmus.errors import Rejected

DEFINITIONS = "apiextensions.k8s.io/v1"


def finish_crd_deletion(client: Kube, environment: str) -> None:
    """Wait until no kind of KubeFed is there that was deleted, and free what is ours of such.

    A finalizer keeps each object until its controller has deleted what it stands for in the
    members, and the controllers end with the types that they carry (kubefed
    pkg/controller/federatedtypeconfig): the kinds would never be gone. Without it nothing is
    deleted in a member: what is there is taken over again, by its name, once its federated object
    is made anew. What others federate is theirs to let go.
    """
    space = client.get("Namespace", KUBEFED_NAMESPACE)
    if space and owner_of(space) != environment:
        return  # Somebody else's federation: the apply of its namespace says so.
    left: list[Manifest] = []

    def ended() -> bool | None:
        nonlocal left
        kinds = _ending(client)
        left = [m for api, kind in kinds for m in client.objects(kind, api=api)]
        for manifest in left:
            if _is_ours(manifest, environment):
                _free(client, manifest)
        return None if kinds else True

    polling.until(
        ended,
        "KubeFed's deleted CRDs to be gone, before they are created again",
        timeout=polling.timeouts().deletion,
        cluster=client.access.cluster,
        seen=lambda: "; ".join(f"{describe(m)}{deletion_blockers(m)}" for m in left[:5]),
    )


def _ending(client: Kube) -> list[tuple[str, str]]:
    """Return API and kind of every definition of KubeFed that was deleted and is still there."""
    found = client.objects("CustomResourceDefinition", api=DEFINITIONS)
    ending = [m["spec"] for m in found if m["metadata"].get("deletionTimestamp")]
    return [
        (api, spec["names"]["kind"])
        for spec in ending
        for api in (CORE_API, TYPES_API)
        if api.startswith(f"{spec['group']}/")
    ]


def _is_ours(manifest: Manifest, environment: str) -> bool:
    """Tell whether it is KubeFed's own configuration, which we installed, or federated by us."""
    return manifest["apiVersion"] == CORE_API or owner_of(manifest) == environment


def _free(client: Kube, manifest: Manifest) -> None:
    """Take an object's finalizers off; one that is gone meanwhile needs it no more."""
    meta = manifest["metadata"]
    place = meta.get("namespace", ""), manifest["apiVersion"]
    if not meta.get("finalizers"):
        return
    events.report_progress(f"{describe(manifest)} loses its finalizers: its CRD was deleted")
    try:
        none = {"metadata": {"finalizers": None}}
        client.merge_patch(manifest["kind"], meta["name"], none, *place)
    except Rejected:
        if client.has_object(manifest):
            raise
