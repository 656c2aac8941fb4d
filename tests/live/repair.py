"""Whatever of ours is missing: one `up` mends it. Every kind is tried, in the host and a remote.

By hand, on three regions of its own; all objects of the kinds that go together are deleted at once:

    PYTHONPATH=tests python tests/live/repair.py [ROW...]
"""

import signal
import sys
import tempfile
import time
import traceback
from pathlib import Path

from live.bare import PASSING, client
from live.conftest import Isthmus, Mesh
from live.files import write

from isthmus import binaries
from isthmus.adapters import helm, kubefed
from isthmus.adapters.diff import ENVIRONMENT_LABEL, describe
from isthmus.environment.namespaces import KUBEFED_NAMESPACE

HOST, REMOTE = "lisbon", "osaka"
WHOLE = {"Namespace", "CustomResourceDefinition", "FederatedNamespace"}
"""Kinds whose end takes others along: a few at a time are deleted, as `APART` says."""
ISTIO, KUBEFED = ".istio.io", ".kubefed.io"
TOGETHER = {
    "what runs": {"Deployment", "Service", "HorizontalPodAutoscaler", "PodDisruptionBudget"},
    "who may": {"ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"},
    "what is known": {"Secret", "ConfigMap", "Gateway", "VirtualService", "EnvoyFilter"},
    "who is asked": {"MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"},
    "the federation": {
        "FederatedDeployment",
        "FederatedSecret",
        "FederatedTypeConfig",
        "KubeFedCluster",
        "KubeFedConfig",
    },
}
APART = {
    "a remote's sample": (REMOTE, "Namespace", "sample"),
    "a remote's istio-system": (REMOTE, "Namespace", "istio-system"),
    "the host's sample": (HOST, "Namespace", "sample"),
    "Istio's kinds in a remote": (REMOTE, "CustomResourceDefinition", ISTIO),
    "the federated sample": (HOST, "FederatedNamespace", "sample"),
    "the federated istio-system": (HOST, "FederatedNamespace", "istio-system"),
    "KubeFed's kinds": (HOST, "CustomResourceDefinition", KUBEFED),
}
"""Cluster, kind, and how the names end of what is deleted with all that goes with it."""


def ours(mesh, cluster):
    """Return every object that an `up` has made in a cluster, KubeFed's included."""
    there = client(cluster, mesh.folder / "kubeconfig")
    kinds = [
        (api, kind) for api, kind, plural in there.kinds.deletable_kinds() if plural not in PASSING
    ]
    marks = (f"{ENVIRONMENT_LABEL}={mesh.name}", "kubefed.io/managed=true")
    found = [
        m
        for api, kind in kinds
        for mark in marks
        for m in there.objects(kind, api=api, labels=mark)
    ]
    if cluster == HOST:
        chart = binaries.ensure(mesh.environment, binaries.CHART)
        found += helm.get_manifest(there, kubefed.RELEASE, KUBEFED_NAMESPACE, chart)
        found += there.objects("KubeFedCluster", api=kubefed.CORE_API)
    return {describe(m): m for m in found}


def of_kinds(kinds):
    """Return what chooses all objects of these kinds, in every cluster."""
    return lambda cluster, manifest: manifest["kind"] in kinds


def apart(where, kind, ending):
    """Return what chooses the objects of one kind in one cluster whose names end so."""

    def chosen(cluster, manifest):
        name = manifest["metadata"]["name"]
        return (cluster, manifest["kind"]) == (where, kind) and name.endswith(ending)

    return chosen


def delete(mesh, found, chosen):
    """Delete what is chosen among the objects found in each cluster; return how many there were."""
    deleted = 0
    for cluster, manifests in found.items():
        there = client(cluster, mesh.folder / "kubeconfig")
        for manifest in manifests.values():
            if chosen(cluster, manifest):
                deleted += there.delete(manifest)
    return deleted


def up(mesh):
    """Return how one `up` ended and what it said; it does not outlive us."""
    process = mesh.isthmus.start("up", mesh.file)
    try:
        return process.communicate(timeout=1500), process.returncode
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            process.communicate()


def mend(mesh, chosen):
    """Delete what is chosen; return the exit code of `up`, seconds, and what is missing then."""
    before = {cluster: ours(mesh, cluster) for cluster in (HOST, REMOTE)}
    assert delete(mesh, before, chosen), "there was nothing to delete"
    begun = time.monotonic()
    (out, err), code = up(mesh)
    seconds = time.monotonic() - begun
    print((err if code else out)[-4000:], flush=True)
    missing = [name for c, found in before.items() for name in found.keys() - ours(mesh, c).keys()]
    return code, seconds, missing


def row(mesh, name, chosen):
    """Try one row and tell at once how it ended; return whether it holds."""
    try:
        code, seconds, missing = mend(mesh, chosen)
    except Exception:
        print(f"{name}: could not be tried\n{traceback.format_exc()}", flush=True)
        return False
    print(f"{name}: up {code}, {seconds:.0f} s, missing {missing}", flush=True)
    return not (code or missing)


def main(names) -> int:
    """Build a mesh, break it row by row, all or those named, and tell how each `up` ended."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in a shell's background
    rows = {name: of_kinds(kinds) for name, kinds in TOGETHER.items()}
    rows |= {name: apart(*row) for name, row in APART.items()}
    rows = {name: rows[name] for name in names or rows}
    with tempfile.TemporaryDirectory(prefix="repair-") as place:
        isthmus = Isthmus(Path(place) / "home")
        regions = {"host": {"name": HOST}, "remotes": [{"name": "nairobi"}, {"name": REMOTE}]}
        mesh = Mesh(isthmus, write(Path(place) / "repair.yaml", name="repair", **regions))
        try:
            isthmus.run("up", mesh.file)
            tried = WHOLE.union(*TOGETHER.values())
            kinds = {m["kind"] for c in (HOST, REMOTE) for m in ours(mesh, c).values()}
            print(f"kinds that are ours and not tried: {sorted(kinds - tried)}", flush=True)
            held = [row(mesh, name, chosen) for name, chosen in rows.items()]
        finally:
            isthmus.run("down", mesh.name)
            isthmus.run("server", "stop", "--now")
    return 0 if all(held) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
