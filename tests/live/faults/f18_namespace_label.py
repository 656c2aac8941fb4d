"""A remote's namespace istio-system does not tell its network."""

from live.faults import ISTIO, placements, put_back

EXPECT = "F18"
CLUSTERS = ("osaka",)
mend = put_back


def break_mesh(mesh):
    changed = {"topology.istio.io/network": None}
    placements.namespace(mesh, "osaka", ISTIO, "labels", changed)
