"""An address of a cluster that is gone is still an endpoint of the service."""

from live.faults import SAMPLE, put_back
from live.faults.objects import add
from live.faults.regions import nowhere

EXPECT = "F29"
CLUSTERS = ("lisbon",)
mend = put_back


def break_mesh(mesh):
    meta = {"name": "left-behind", "namespace": SAMPLE}
    spec = {"address": nowhere(mesh), "labels": {"app": "helloworld"}, "network": "network1"}
    kind = {"apiVersion": "networking.istio.io/v1", "kind": "WorkloadEntry"}
    add(mesh, "lisbon", {**kind, "metadata": meta, "spec": spec})
