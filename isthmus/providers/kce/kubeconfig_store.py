"""Kubeconfigs that KCE hands out, kept (0600) with the environment until they work no more."""

from pathlib import Path
from typing import Any

import yaml

from isthmus import state
from isthmus.adapters import kube
from isthmus.errors import NotReady, Rejected, TransientError
from isthmus.providers.kce import purchase_record
from isthmus.providers.kce.api import KceRegionClient
from isthmus.step_results import Access


def path(environment: str, cluster: str, identity: str) -> Path:
    """Return where the kubeconfig of this very cluster lies; one made anew has another identity."""
    return purchase_record.folder(environment) / f"{cluster}.{identity}.kubeconfig"


def stored_cluster_id(environment: str, cluster: str) -> str:
    """Return the identity of the cluster whose kubeconfig is kept, or nothing."""
    found = sorted((purchase_record.folder(environment)).glob(f"{cluster}.*.kubeconfig"))
    return found[0].name.split(".")[-2] if len(found) == 1 else ""


def stored_access(environment: str, cluster: str, identity: str) -> Access | None:
    """Return how to reach the cluster by what is kept; None if that does not work any more."""
    file = path(environment, cluster, identity)
    if not file.exists():
        return None
    try:
        return _answering(_access(file, cluster))
    except (Rejected, TransientError):
        kube.clear_clients()
        return None


def fetch(cloud: KceRegionClient, environment: str, cluster: str, identity: str) -> Access:
    """Keep a new kubeconfig of the cluster in place of any other, and return how to reach it.

    Raises Rejected if KCE has none for use from outside.
    """
    text = cloud.kubeconfig(identity)
    if not _context(text):
        raise Rejected(
            f"KCE has no kubeconfig for public access to {identity}",
            cluster=cluster,
            hint="give its API server a public address in the KCE console",
        )
    file = path(environment, cluster, identity)
    for old in file.parent.glob(f"{cluster}.*.kubeconfig"):
        old.unlink()
    state.write_private(file, text)
    kube.clear_clients()
    return _answering(_access(file, cluster))


def _access(file: Path, cluster: str) -> Access:
    context = _context(file.read_text())
    if not context:
        raise NotReady(f"{file}: not a valid kubeconfig", cluster=cluster)
    return Access(cluster=cluster, kubeconfig=file, context=context)


def _answering(access: Access) -> Access:
    return access.model_copy(update={"uid": kube.connect(access).uid()})


def _context(text: str) -> str:
    """Return the context to use: the current one, or the first; nothing if this is none at all."""
    try:
        document: Any = yaml.safe_load(text)
        names = [entry["name"] for entry in document["contexts"]]
        return str(document.get("current-context") or names[0])
    except (yaml.YAMLError, LookupError, TypeError, AttributeError):
        return ""
