"""The service is scaled to 0 in one cluster."""

from live.faults import placements, put_back

EXPECT = "F46"
CLUSTERS = ("osaka",)
mend = put_back


def break_mesh(mesh):
    placements.override(mesh, "osaka", "/spec/replicas", 0)
