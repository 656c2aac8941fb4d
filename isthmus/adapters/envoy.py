"""Asking the proxies of a cluster what they know: their endpoint tables, as text."""

from isthmus.adapters import readiness
from isthmus.adapters.diff import Manifest
from isthmus.adapters.kube import Kube
from isthmus.errors import NotReady

INJECTED = "security.istio.io/tlsMode=istio"
"""The label of each pod with a sidecar (istio files/injection-template.yaml)."""
REQUEST = ("pilot-agent", "request", "GET")
"""A command that every proxy's container has, distroless ones included."""
ENDPOINTS = "/clusters?format=json"


def sidecars(client: Kube) -> list[Manifest]:
    """Return the Ready pods of all namespaces that have a sidecar."""
    return readiness.running_pods(client, "", INJECTED)


def fetch_endpoints(client: Kube, pod: Manifest) -> str:
    """Return the endpoint table of a pod's proxy (JSON); raises NotReady if it gives none."""
    return ask_admin(client, pod, ENDPOINTS)


def ask_admin(client: Kube, pod: Manifest, path: str) -> str:
    """Return the JSON that a pod's proxy gives at a path of its administration interface.

    Raises NotReady if it gives none. Source: envoyproxy.io, Administration interface.
    """
    meta, command = pod["metadata"], [*REQUEST, path]
    text, said, code = client.execute(meta["name"], meta["namespace"], "istio-proxy", command)
    if code:
        where = f"{meta['namespace']}/{meta['name']}"
        raise NotReady(f"{where}: its proxy does not answer: {said}", cluster=client.access.cluster)
    # pilot-agent may log a warning on standard output before the table.
    return text[max(text.find("{"), 0) :]
