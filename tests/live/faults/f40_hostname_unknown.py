"""A gateway's load balancer has a host name that nobody resolves."""

from live.faults import put_back
from live.faults.objects import addresses
from live.faults.regions import stop

EXPECT = "F40"
CLUSTERS = ("osaka",)
mend = put_back


def break_mesh(mesh):
    stop(mesh, "osaka", "load-balancer")
    name = [{"hostname": "gateway.osaka.example"}]
    addresses(mesh, "osaka", "istio-eastwestgateway", name)
