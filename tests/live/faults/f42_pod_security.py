"""Pod Security refuses what the sidecar's init container needs."""

from live.faults import SAMPLE, placements, put_back

EXPECT = "F42"
CLUSTERS = ("osaka",)
mend = put_back


def break_mesh(mesh):
    changed = {"pod-security.kubernetes.io/enforce": "baseline"}
    placements.namespace(mesh, "osaka", SAMPLE, "labels", changed)
