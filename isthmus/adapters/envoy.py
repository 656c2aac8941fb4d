"""Asking the proxies of a cluster what they know: their endpoint tables, as text."""

from collections.abc import Sequence

from isthmus.adapters import pod_dial, readiness
from isthmus.adapters.diff import Manifest
from isthmus.adapters.kube import Kube
from isthmus.errors import NotReady

INJECTED = "security.istio.io/tlsMode=istio"
"""The label of each pod with a sidecar (istio files/injection-template.yaml)."""
REQUEST = ("pilot-agent", "request", "GET")
"""A command that every proxy's container has, distroless ones included."""
ENDPOINTS = "/clusters?format=json"
ADMIN = "http://127.0.0.1:15000"
"""Where a proxy's administration interface listens (istio.io, Ports used by Istio)."""
SEPARATOR = "isthmus-next"


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


def ask_admin_paths(client: Kube, pod: Manifest, paths: Sequence[str]) -> list[str]:
    """Return the JSON at several paths by one command, as starting one is what takes its time.

    Where the container has no curl they are asked one after the other, as `ask_admin` does.
    """
    meta = pod["metadata"]
    command = ["curl", "-q", "-sS", "--noproxy", "*", "-m", "5", "-w", f"\n{SEPARATOR}\n"]
    command += [f"{ADMIN}{path}" for path in paths]
    try:
        printed = client.execute(meta["name"], meta["namespace"], "istio-proxy", command)
        found = printed.out.split(f"\n{SEPARATOR}\n")[:-1]
        if not printed.code and len(found) == len(paths):
            return found
    except NotReady as error:
        if not pod_dial.is_missing_program(error):
            raise
    return [ask_admin(client, pod, path) for path in paths]
