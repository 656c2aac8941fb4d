"""The host has a remote secret for itself."""

from live.faults import ISTIO, credentials, put_back
from live.faults.objects import add, get

EXPECT = "F08"
CLUSTERS = ("lisbon",)
mend = put_back


def break_mesh(mesh):
    secret = get(mesh, "lisbon", f"{credentials.REMOTE}osaka")
    text = (mesh.folder / "regions/lisbon/kubeconfig").read_text()
    notes = {"networking.istio.io/cluster": "lisbon"}
    meta = {"name": "istio-remote-secret-lisbon", "namespace": ISTIO, "annotations": notes}
    meta["labels"] = secret["metadata"]["labels"]
    data = {"lisbon": credentials.encoded(text)}
    add(mesh, "lisbon", {**secret, "metadata": meta, "data": data})
