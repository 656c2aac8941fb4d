"""A gateway's Service does not tell which network it leads into."""

from live.faults import put_back
from live.faults.objects import change

EXPECT = "F18"
CLUSTERS = ("osaka",)
mend = put_back


def break_mesh(mesh):
    change(mesh, "osaka", "service/istio-eastwestgateway", unlabelled)


def unlabelled(service):
    del service["metadata"]["labels"]["topology.istio.io/network"]
