"""The host's gateway is scaled to 0, and with it the remotes' control plane is away."""

from live.faults import put_back
from live.faults.objects import scale

EXPECT = "F33"
CLUSTERS = ("lisbon",)
mend = put_back


def break_mesh(mesh):
    scale(mesh, "lisbon", "istio-eastwestgateway", 0)
