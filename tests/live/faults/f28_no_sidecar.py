"""The service's pods in a cluster have no sidecar."""

from live.faults import placements, put_back

EXPECT = "F28"
CLUSTERS = ("osaka",)
mend = put_back


def break_mesh(mesh):
    path = "/spec/template/metadata/annotations"
    placements.override(mesh, "osaka", path, {"sidecar.istio.io/inject": "false"})
