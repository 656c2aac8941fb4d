"""A namespace asks for a revision of Istio that no webhook serves."""

from live.faults import SAMPLE, placements, put_back

EXPECT = "F25"
CLUSTERS = ("osaka",)
mend = put_back


def break_mesh(mesh):
    changed = {"istio-injection": None, "istio.io/rev": "canary"}
    placements.namespace(mesh, "osaka", SAMPLE, "labels", changed)
