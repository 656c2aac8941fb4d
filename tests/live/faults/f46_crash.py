"""The service's program ends at once in one cluster."""

from live.faults import placements, put_back

EXPECT = "F46"
CLUSTERS = ("osaka",)
mend = put_back


def break_mesh(mesh):
    placements.override(mesh, "osaka", "/spec/strategy", {"type": "Recreate"})
    path = "/spec/template/spec/containers/0/command"
    placements.override(mesh, "osaka", path, ["/bin/false"])
