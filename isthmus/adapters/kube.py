"""The one place that talks to Kubernetes API servers: ask, compare, apply."""

import json
from collections.abc import Iterable
from functools import cached_property, lru_cache
from typing import Any
from urllib.parse import urlencode

from kubernetes import client
from kubernetes.client.exceptions import ApiException

from isthmus import waiting
from isthmus.adapters import connecting, pod_exec
from isthmus.adapters.kinds import Kinds
from isthmus.adapters.manifests import LABEL, Manifest, describe, differs, labelled, marked, shared
from isthmus.adapters.refusals import translating
from isthmus.errors import ClusterUnreachable, NotReady, Rejected
from isthmus.facts import Access

FIELD_MANAGER = "isthmus"
TIMEOUT = 15.0
"""Seconds that one request may take."""
AGAIN = 5.0
"""Seconds in which a request is made again; an API server's Retry-After is 1
(k8s.io/apiserver pkg/server/filters/maxinflight.go), and one that is down stays so for longer."""
PAUSE = 0.4
"""Seconds from one try to the next."""


class Kube:
    """A cluster we can converge. Every method is safe to repeat."""

    def __init__(self, access: Access) -> None:
        self.access = access
        self.kinds = Kinds(lambda path: self.request("GET", path))

    @cached_property
    def _api(self) -> client.ApiClient:
        with translating(self.access, "read its kubeconfig"):
            # A request is repeated here, where the run may be told to end meanwhile.
            return connecting.new_client(self.access, retries=False)

    def request(self, method: str, path: str, body: Any = None, content: str = "") -> Any:
        """Return the server's answer to one request; None if it says 404 to a GET or DELETE.

        An answer that may pass (429, 5xx, a connection that is cut) is asked for again, as every
        request of ours may be repeated; raises ClusterUnreachable with the last one after AGAIN
        seconds, Rejected at once for what will not pass.
        """
        if method != "GET":
            waiting.before_change()
        try:
            return waiting.until(
                lambda: (self._ask(method, path, body, content),),
                f"{method} {path.split('?')[0]}",
                timeout=AGAIN,
                interval=PAUSE,
            )[0]
        except ClusterUnreachable as error:
            # Not the limit of a step, which may ask once more.
            raise error.__cause__ or error from None

    def _ask(self, method: str, path: str, body: Any, content: str) -> Any:
        headers = {"Accept": "application/json"}
        if body is not None:
            headers["Content-Type"] = content or "application/json"
        with translating(self.access, f"{method} {path.split('?')[0]}"):
            try:
                prepared = self._api.param_serialize(
                    method, path, header_params=headers, body=body, auth_settings=["BearerToken"]
                )
                response = self._api.call_api(*prepared, _request_timeout=TIMEOUT)
                data = response.read()
                if response.status >= 400:
                    raise _refusal(response, data)
            except ApiException as error:
                if error.status == 404 and method in ("GET", "DELETE"):
                    return None
                raise
        return json.loads(data) if data[:1] in (b"{", b"[") else data.decode()

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
        query = f"?{urlencode({'labelSelector': labels})}" if labels else ""
        found = self.request("GET", path + query) if path else None
        return [
            {"apiVersion": api, "kind": kind, **item} for item in (found or {"items": []})["items"]
        ]

    def serves(self, api: str, kind: str) -> bool:
        """Tell whether the cluster knows a kind."""
        return bool(self.kinds.path(api, kind))

    def issues_tokens(self) -> bool:
        """Tell whether pods get tokens for an audience; before 1.20 a cluster may not do so.

        Source: istio 1.7 operator/pkg/util/k8s.go, which looks for the same resource.
        """
        return self.kinds.has("v1", "serviceaccounts/token")

    def apply(self, manifests: Iterable[Manifest]) -> list[str]:
        """Make each manifest true, in order; return the names of those that were not yet."""
        return [describe(m) for m in manifests if self._converge(m)]

    def has(self, manifest: Manifest) -> bool:
        """Tell whether this very object, by its UID, is still there."""
        meta = manifest["metadata"]
        place = meta.get("namespace", ""), manifest["apiVersion"]
        live = self.get(manifest["kind"], meta["name"], *place)
        return live is not None and live["metadata"]["uid"] == meta["uid"]

    def delete(self, manifest: Manifest) -> bool:
        """Ask for an object's end; tell whether there was one."""
        meta = manifest["metadata"]
        path = self.kinds.path_of(manifest)
        query = "?propagationPolicy=Background"
        return bool(path and self.request("DELETE", f"{path}/{meta['name']}{query}"))

    def merge(self, kind: str, name: str, patch: Any, namespace: str = "", api: str = "v1") -> None:
        """Change some fields of an object that exists."""
        path = f"{self.kinds.path(api, kind, namespace)}/{name}"
        self.request("PATCH", path, patch, "application/merge-patch+json")

    def execute(self, pod: str, namespace: str, container: str, argv: list[str]) -> pod_exec.Output:
        """Return what a command in a container printed, whole, and its exit code.

        Raises ClusterUnreachable if the connection was cut before its end: then it may be repeated.
        """
        with translating(self.access, f"exec in {namespace}/{pod}"):
            name = self.access.cluster
            return pod_exec.run(self._api, name, pod, namespace, container, argv)

    def _converge(self, manifest: Manifest) -> bool:
        path = self.kinds.path_of(manifest)
        if not path:
            what = f"{describe(manifest)}: kind not served yet"
            raise NotReady(what, cluster=self.access.cluster)
        path += f"/{manifest['metadata']['name']}"
        live = self.request("GET", path)
        wanted = marked(labelled(manifest, self.access.environment))
        if live is not None:
            self._check_owner(manifest, live)
            wanted = shared(wanted)
            if not differs(wanted, live):
                return False
        query = f"?fieldManager={FIELD_MANAGER}&force=true"
        self.request("PATCH", path + query, wanted, "application/apply-patch+yaml")
        return True

    def _check_owner(self, manifest: Manifest, live: Manifest) -> None:
        """Refuse to take over what somebody else made: `down` would delete it."""
        owner = live["metadata"].get("labels", {}).get(LABEL)
        if self.access.environment and owner != self.access.environment:
            whose = f"environment {owner}" if owner else "somebody else"
            raise Rejected(
                f"{describe(manifest)} is there and belongs to {whose}",
                cluster=self.access.cluster,
                hint="remove it if nobody needs it, or take another cluster",
            )


def _refusal(response: Any, data: bytes) -> ApiException:
    refusal = ApiException(
        status=response.status, reason=response.reason, body=data.decode(errors="replace")
    )
    refusal.headers = response.headers
    return refusal


@lru_cache
def connect(access: Access) -> Kube:
    """Return the process-wide client for a cluster."""
    return Kube(access)


def forget() -> None:
    """Drop all clients: a cluster of the same name may come with other keys."""
    connect.cache_clear()
