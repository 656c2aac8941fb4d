"""A namespace has lost its injection label: new pods get no sidecar."""

from live.faults import SAMPLE, placements, put_back

EXPECT = "F57"
CLUSTERS = ("osaka",)
mend = put_back


def break_mesh(mesh):
    placements.namespace(mesh, "osaka", SAMPLE, "labels", {"istio-injection": None})
