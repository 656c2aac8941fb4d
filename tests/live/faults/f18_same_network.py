"""Two clusters say that they are in the same network, and are not."""

from live.faults import ISTIO, placements, put_back

EXPECT = "F18"
CLUSTERS = ("osaka",)
mend = put_back


def break_mesh(mesh):
    changed = {"topology.istio.io/network": "network2"}
    placements.namespace(mesh, "osaka", ISTIO, "labels", changed)
