"""A VirtualService answers every request with an error of its own."""

from live.faults import HELLOWORLD, SAMPLE, put_back
from live.faults.objects import add

EXPECT = "F49"
CLUSTERS = ("lisbon",)
mend = put_back


def break_mesh(mesh):
    abort = {"abort": {"httpStatus": 503, "percentage": {"value": 100}}}
    add_route(mesh, {"fault": abort, "route": [{"destination": {"host": HELLOWORLD}}]})


def add_route(mesh, http):
    spec = {"hosts": [HELLOWORLD], "http": [http]}
    kind = {"apiVersion": "networking.istio.io/v1", "kind": "VirtualService"}
    meta = {"name": "helloworld", "namespace": SAMPLE}
    add(mesh, "lisbon", {**kind, "metadata": meta, "spec": spec})
