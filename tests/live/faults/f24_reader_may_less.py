"""istiod's reader may not list endpoints in a remote."""

from live.faults import put_back
from live.faults.objects import change
from live.faults.roles import ROLE

EXPECT = "F24"
CLUSTERS = ("osaka",)
mend = put_back


def break_mesh(mesh):
    change(mesh, "osaka", f"clusterrole/{ROLE}", without_endpoints)


def without_endpoints(role):
    kept = [r for r in role["rules"] if "endpointslices" not in r["resources"]]
    role["rules"] = kept
