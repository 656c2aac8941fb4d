"""Which kinds a cluster serves and at which paths; asked once, and again for what was not there."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from isthmus.adapters.diff import Manifest
from isthmus.errors import ClusterUnreachable, Rejected

MADE = ("istio.io", "kubefed.io")
"""Domains of the API groups, beside Kubernetes' own, in which we make objects."""
EXTENSIONS = ("metrics.k8s.io", "custom.metrics.k8s.io", "external.metrics.k8s.io")
"""Groups that are served by extensions although their name is Kubernetes' own."""


def is_foreign(api: str) -> bool:
    """Tell whether an API group is none in which we make objects."""
    group = api.rpartition("/")[0]
    core = "." not in group or group.endswith(".k8s.io")
    return group in EXTENSIONS or not (core or group.endswith(MADE))


class Discovery:
    """A cluster's kinds, by what `get` returns for a path of its API."""

    def __init__(self, get: Callable[[str], Any]) -> None:
        self._get = get
        self._known: dict[str, dict[str, tuple[str, bool]]] = {}

    def serves(self, api: str, kind: str) -> bool:
        """Tell whether objects of a kind are served now, whatever was so before.

        For some seconds discovery names one whose definition was deleted and made anew.
        """
        self._known.pop(api, None)
        path = self.path(api, kind)
        with suppress(Rejected):  # an account that may not list is told nothing
            return bool(path) and self._get(f"{path}?limit=1") is not None
        return True

    def path(self, api: str, kind: str, namespace: str = "") -> str:
        """Return the URL path of a kind's objects, or nothing if the cluster does not serve it."""
        known = self._known.get(api, {})  # another thread may have it forgotten meanwhile
        if kind not in known:
            known = {r["kind"]: (r["name"], r["namespaced"]) for r in self._served(api)}
            self._known[api] = known
        if kind not in known:
            return ""
        plural, namespaced = known[kind]
        inside = f"/namespaces/{namespace}" if namespaced and namespace else ""
        return f"{_root(api)}{inside}/{plural}"

    def path_of(self, manifest: Manifest) -> str:
        """Return the path of the objects among which a manifest belongs, or nothing."""
        namespace = manifest["metadata"].get("namespace", "")
        return self.path(manifest["apiVersion"], manifest["kind"], namespace)

    def is_namespaced(self, manifest: Manifest) -> bool:
        """Tell whether objects of the manifest's kind are in a namespace."""
        return "/namespaces/x/" in self.path(manifest["apiVersion"], manifest["kind"], "x")

    def has_resource(self, api: str, resource: str) -> bool:
        """Tell whether there is a resource, such as pods, or a part of one, such as pods/exec."""
        return any(r["name"] == resource for r in self._resources(api))

    def deletable_kinds(self) -> list[tuple[str, str, str]]:
        """Return every kind that can be listed and deleted: API version, kind, plural name."""
        groups = (self._get("/apis") or {"groups": []})["groups"]
        versions = ["v1", *(g["preferredVersion"]["groupVersion"] for g in groups)]
        return [
            (api, r["kind"], r["name"])
            for api in versions
            for r in self._available(api)
            if {"list", "delete"} <= set(r["verbs"])
        ]

    def _available(self, api: str) -> list[dict[str, Any]]:
        try:
            return self._served(api)
        except ClusterUnreachable:
            if not is_foreign(api):
                raise
            # An extension server that is down, as for metrics: nothing of ours is stored there.
            return []

    def _served(self, api: str) -> list[dict[str, Any]]:
        return [r for r in self._resources(api) if "/" not in r["name"]]

    def _resources(self, api: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (self._get(_root(api)) or {"resources": []})["resources"]
        return found


def _root(api: str) -> str:
    return f"/apis/{api}" if "/" in api else f"/api/{api}"
