"""Of a load balancer's two addresses one is dead."""

from live.faults import put_back
from live.faults.objects import addresses
from live.faults.regions import gateway, nowhere

EXPECT = "F39"
CLUSTERS = ("osaka",)
mend = put_back


def break_mesh(mesh):
    both = [{"ip": gateway(mesh, "osaka")}, {"ip": nowhere(mesh)}]
    addresses(mesh, "osaka", "istio-eastwestgateway", both)
