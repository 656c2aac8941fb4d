"""A gateway's load balancer gives no address."""

from live.faults import put_back
from live.faults.objects import addresses
from live.faults.regions import stop

EXPECT = "F12"
CLUSTERS = ("osaka",)
mend = put_back


def break_mesh(mesh):
    stop(mesh, "osaka", "load-balancer")
    addresses(mesh, "osaka", "istio-eastwestgateway", [])
