"""A Sidecar hides the service from its callers."""

from live.faults import SAMPLE, put_back
from live.faults.objects import add

EXPECT = "F49"
CLUSTERS = ("lisbon",)
mend = put_back


def break_mesh(mesh):
    spec = {"egress": [{"hosts": ["istio-system/*"]}]}
    kind = {"apiVersion": "networking.istio.io/v1", "kind": "Sidecar"}
    add(
        mesh, "lisbon", {**kind, "metadata": {"name": "default", "namespace": SAMPLE}, "spec": spec}
    )
