"""istiod is scaled to 0: the mesh has no control plane."""

from live.faults import put_back
from live.faults.objects import scale

EXPECT = "F45"
CLUSTERS = ("lisbon",)
mend = put_back


def break_mesh(mesh):
    scale(mesh, "lisbon", "istiod", 0)
