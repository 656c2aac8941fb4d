"""Kubeconfig files: one merged file an environment, so that no tool ever needs a person's own."""

import base64
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from isthmus import state
from isthmus.errors import Rejected
from isthmus.facts import Access


def merge(accesses: Iterable[Access], path: Path) -> Path:
    """Make `path` (0600) reach every cluster, by a context of the cluster's name."""
    merged: dict[str, Any] = {"apiVersion": "v1", "kind": "Config", "preferences": {}}
    merged |= {"clusters": [], "users": [], "contexts": []}
    for access in accesses:
        cluster, user = _parts(access)
        name = access.cluster
        merged["clusters"].append({"name": name, "cluster": cluster})
        merged["users"].append({"name": name, "user": user})
        merged["contexts"].append({"name": name, "context": {"cluster": name, "user": name}})
        merged.setdefault("current-context", name)
    text = yaml.safe_dump(merged, sort_keys=False)
    if not path.exists() or path.read_text() != text:
        state.private(path, text)
    return path


def server(access: Access) -> tuple[str, str]:
    """Return the URL at which other clusters reach the API server, and its CA.

    The CA is base64 of PEM; empty if the kubeconfig has none.
    """
    cluster, _ = _parts(access)
    return access.server or str(cluster["server"]), str(
        cluster.get("certificate-authority-data", "")
    )


def _parts(access: Access) -> tuple[dict[str, Any], dict[str, Any]]:
    document = yaml.safe_load(access.kubeconfig.read_text())
    context = _named(document, "contexts", access.context, access)["context"]
    cluster = _named(document, "clusters", context["cluster"], access)["cluster"]
    user = _named(document, "users", context["user"], access)["user"]
    folder = access.kubeconfig.parent
    return _inlined(cluster, folder), _inlined(user, folder)


def _named(document: Any, section: str, name: str, access: Access) -> Any:
    found = next((e for e in document.get(section) or [] if e.get("name") == name), None)
    if found is None:
        raise Rejected(
            f"{access.kubeconfig}: no {section[:-1]} {name!r} in it",
            cluster=access.cluster,
            hint=f"kubectl --kubeconfig {access.kubeconfig} config get-contexts",
        )
    return found


def _inlined(entry: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Put files that the entry names into it: the merged file lies elsewhere."""
    result = dict(entry)
    for key in ("certificate-authority", "client-certificate", "client-key"):
        if key in result:
            content = (folder / result.pop(key)).read_bytes()
            result[f"{key}-data"] = base64.b64encode(content).decode()
    return result
