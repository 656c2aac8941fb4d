"""An AuthorizationPolicy allows nothing in the namespace."""

from live.faults import SAMPLE, put_back
from live.faults.objects import add

EXPECT = "F48"
CLUSTERS = ("lisbon",)
mend = put_back


def break_mesh(mesh):
    kind = {"apiVersion": "security.istio.io/v1", "kind": "AuthorizationPolicy"}
    add(mesh, "lisbon", {**kind, "metadata": {"name": "nothing", "namespace": SAMPLE}, "spec": {}})
