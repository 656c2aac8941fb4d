"""istiod's reader has no rights in a remote: its binding is gone."""

from live.faults import put_back
from live.faults.objects import delete
from live.faults.roles import ROLE

EXPECT = "F24"
CLUSTERS = ("osaka",)
mend = put_back


def break_mesh(mesh):
    delete(mesh, "osaka", f"clusterrolebinding/{ROLE}")
