"""No Gateway object lets other networks in."""

from live.faults import put_back
from live.faults.objects import delete

EXPECT = "F47"
CLUSTERS = ("lisbon",)
mend = put_back


def break_mesh(mesh):
    delete(mesh, "lisbon", "gateways.networking.istio.io/cross-network-gateway")
