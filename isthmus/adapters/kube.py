"""A cluster's objects: ask, compare, apply."""

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from isthmus import events, polling
from isthmus.adapters.api_server import APPLY, ApiServer
from isthmus.adapters.diff import (
    Manifest,
    check_owner,
    deletion_blockers,
    describe,
    differs,
    is_scaled_to_zero,
    with_environment_label,
    with_hash_annotation,
    without_istiod_fields,
)
from isthmus.adapters.discovery import Discovery
from isthmus.errors import NotReady
from isthmus.step_results import Access

FIELD_MANAGER = "isthmus"


class Kube(ApiServer):
    """A cluster we can converge. Every method is safe to repeat."""

    def __init__(self, access: Access) -> None:
        super().__init__(access)
        self.kinds = Discovery(lambda path: self.request("GET", path))

    def version(self) -> str:
        """Return the API server's version, such as v1.36.3."""
        return str(self.request("GET", "/version")["gitVersion"])

    def uid(self) -> str:
        """Return what no other cluster has: the UID of the namespace kube-system."""
        found = self.get("Namespace", "kube-system")
        if not found:
            raise NotReady("no namespace kube-system yet", cluster=self.access.cluster)
        return str(found["metadata"]["uid"])

    def get(self, kind: str, name: str, namespace: str = "", api: str = "v1") -> Any:
        """Return an object as it is, or None."""
        path = self.kinds.path(api, kind, namespace)
        return self.request("GET", f"{path}/{name}") if path else None

    def objects(
        self, kind: str, namespace: str = "", api: str = "v1", labels: str = ""
    ) -> list[Any]:
        """Return all objects of a kind, in one namespace or in all."""
        path = self.kinds.path(api, kind, namespace)
        chosen = {"labelSelector": labels} if labels else {}
        found = self.list_items(path, chosen) if path else []
        return [{"apiVersion": api, "kind": kind, **item} for item in found]

    def named(self, kind: str, name: str, api: str = "v1") -> list[Any]:
        """Return the objects of one name in all namespaces."""
        path = self.kinds.path(api, kind)
        found = self.list_items(path, {"fieldSelector": f"metadata.name={name}"}) if path else []
        return [{"apiVersion": api, "kind": kind, **item} for item in found]

    def serves(self, api: str, kind: str) -> bool:
        """Tell whether the cluster knows a kind now, whatever it did before."""
        return self.kinds.serves(api, kind)

    def issues_tokens(self) -> bool:
        """Tell whether pods get tokens for an audience; before 1.20 a cluster may not do so.

        Source: istio 1.7 operator/pkg/util/k8s.go, which looks for the same resource.
        """
        return self.kinds.has_resource("v1", "serviceaccounts/token")

    def apply(
        self, manifests: Iterable[Manifest], owner: str, *, scale_up: bool = True
    ) -> list[str]:
        """Make each manifest true, in order; return the names of those that were not yet.

        Each gets the label of the environment that owns it. Without an owner, as what is Helm's,
        it gets none, and nobody is asked whose it is. `scale_up` tells whether a Deployment that
        was scaled to 0 gets a pod. Raises Rejected for an object of another owner.
        """
        return [describe(m) for m in manifests if self._converge(m, owner, scale_up)]

    def dry_run_apply(self, manifest: Manifest) -> None:
        """Raise Rejected, in the cluster's words, if it would refuse the object; none is made."""
        self._patch_as_ours(manifest, "&force=true&dryRun=All")

    def has_object(self, manifest: Manifest) -> bool:
        """Tell whether this very object, by its UID, is still there."""
        meta = manifest["metadata"]
        place = meta.get("namespace", ""), manifest["apiVersion"]
        live = self.get(manifest["kind"], meta["name"], *place)
        return live is not None and live["metadata"]["uid"] == meta["uid"]

    def delete(self, manifest: Manifest, *, owned_first: bool = False) -> bool:
        """Ask for an object's end, after or before that of what it owns; tell whether it was there.

        Source: propagationPolicy of DeleteOptions, Background or Foreground.
        """
        meta = manifest["metadata"]
        path = self.kinds.path_of(manifest)
        query = f"?propagationPolicy={'Foreground' if owned_first else 'Background'}"
        return bool(path and self.request("DELETE", f"{path}/{meta['name']}{query}"))

    def relinquish_fields(self, manifest: Manifest) -> None:
        """Leave of an object only what others have put into it.

        Fields of ours that are applied no more go, those of several managers stay (server-side
        apply).
        """
        meta = {k: v for k, v in manifest["metadata"].items() if k in ("name", "namespace")}
        bare = {"apiVersion": manifest["apiVersion"], "kind": manifest["kind"], "metadata": meta}
        self._patch_as_ours(bare)

    def merge_patch(
        self, kind: str, name: str, patch: Any, namespace: str = "", api: str = "v1"
    ) -> None:
        """Change some fields of an object that exists."""
        path = f"{self.kinds.path(api, kind, namespace)}/{name}"
        self.request("PATCH", path, patch, "application/merge-patch+json")

    def _converge(self, manifest: Manifest, owner: str, scale_up: bool) -> bool:
        path = self.kinds.path_of(manifest)
        if not path:
            what = f"{describe(manifest)}: kind not served yet"
            raise NotReady(what, cluster=self.access.cluster)
        path += f"/{manifest['metadata']['name']}"
        live = self._staying(manifest, path)
        wanted = with_hash_annotation(with_environment_label(manifest, owner))
        if live is not None:
            check_owner(manifest, live, owner, self.access.cluster)
            wanted = without_istiod_fields(wanted)
            if not differs(wanted, live):
                return scale_up and self._scale_up(manifest, live)
        self._patch_as_ours(wanted, "&force=true")
        if live is not None and scale_up:
            self._scale_up(manifest, live)
        if live is None and manifest["kind"] == "ServiceAccount":
            self._renew_tokens(manifest["metadata"])
        return True

    def _patch_as_ours(self, manifest: Manifest, how: str = "") -> None:
        path = f"{self.kinds.path_of(manifest)}/{manifest['metadata']['name']}"
        query = f"?fieldManager={FIELD_MANAGER}{how}"
        self.request("PATCH", path + query, manifest, APPLY)

    def _renew_tokens(self, account: Manifest) -> None:
        """Have pods made anew that run as an account which was deleted: their tokens name its UID.

        Source: k8s.io/kubernetes pkg/serviceaccount/claims.go, Validate.
        """
        chosen = {"fieldSelector": f"spec.serviceAccountName={account['name']}"}
        for pod in self.list_items(self.kinds.path("v1", "Pod", account["namespace"]), chosen):
            self.delete({"apiVersion": "v1", "kind": "Pod", **pod})

    def _staying(self, manifest: Manifest, path: str) -> Manifest | None:
        """Return the object, or nothing; one that was deleted is waited for until it has ended.

        As long as finalizers hold it, it looks as wanted, and then it is gone.
        """
        live: Manifest | None = self.request("GET", path)
        if live is None or not live["metadata"].get("deletionTimestamp"):
            return live

        def ended() -> bool | None:
            nonlocal live
            live = self.request("GET", path)
            return None if live and live["metadata"].get("deletionTimestamp") else True

        what = f"{describe(manifest)} to be deleted, before it is created again"
        events.report_progress(f"waiting for {what}")
        polling.until(
            ended,
            what,
            timeout=polling.timeouts().deletion,
            cluster=self.access.cluster,
            seen=lambda: deletion_blockers(live or {}),
        )
        return live

    def _scale_up(self, manifest: Manifest, live: Manifest) -> bool:
        """Have one replica of a Deployment that somebody scaled to 0; tell whether it was so.

        How many there are else is an autoscaler's to say: it leaves 0 alone.
        """
        if not is_scaled_to_zero(live) or is_scaled_to_zero(manifest):
            return False
        meta = manifest["metadata"]
        self.merge_patch(
            "Deployment", meta["name"], {"spec": {"replicas": 1}}, meta["namespace"], "apps/v1"
        )
        return True


@lru_cache
def connect(access: Access) -> Kube:
    """Return the process-wide client for a cluster."""
    return Kube(access)


def clear_clients() -> None:
    """Drop all clients: a cluster of the same name may come with other keys."""
    connect.cache_clear()
