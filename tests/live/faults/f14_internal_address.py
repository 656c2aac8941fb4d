"""A gateway's load balancer advertises an address that nobody else can route to."""

from live.faults import put_back
from live.faults.objects import addresses
from live.faults.regions import stop

EXPECT = "F14"
CLUSTERS = ("osaka",)
mend = put_back


def break_mesh(mesh):
    stop(mesh, "osaka", "load-balancer")
    addresses(mesh, "osaka", "istio-eastwestgateway", [{"ip": "10.20.30.40"}])
