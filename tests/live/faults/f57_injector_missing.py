"""A remote has no sidecar injector any more."""

from live.faults import put_back
from live.faults.objects import delete

EXPECT = "F57"
CLUSTERS = ("osaka",)
mend = put_back


def break_mesh(mesh):
    delete(mesh, "osaka", "mutatingwebhookconfiguration/istio-sidecar-injector")
