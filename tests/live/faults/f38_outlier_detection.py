"""A DestinationRule with outlierDetection switched locality preference on."""

from live.faults import HELLOWORLD, SAMPLE, put_back
from live.faults.objects import add

EXPECT = "F38"
CLUSTERS = ("lisbon",)
mend = put_back


def break_mesh(mesh):
    detection = {"consecutive5xxErrors": 5, "interval": "10s", "baseEjectionTime": "30s"}
    spec = {"host": HELLOWORLD, "trafficPolicy": {"outlierDetection": detection}}
    kind = {"apiVersion": "networking.istio.io/v1", "kind": "DestinationRule"}
    meta = {"name": "helloworld", "namespace": SAMPLE}
    add(mesh, "lisbon", {**kind, "metadata": meta, "spec": spec})
