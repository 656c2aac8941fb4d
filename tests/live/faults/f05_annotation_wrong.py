"""A remote secret's annotation names another cluster than its key."""

from live.faults import credentials, put_back
from live.faults.objects import change

EXPECT = "F05"
CLUSTERS = ("osaka",)
mend = put_back


def break_mesh(mesh):
    change(mesh, "lisbon", f"{credentials.REMOTE}osaka", misnamed)


def misnamed(secret):
    secret["metadata"]["annotations"]["networking.istio.io/cluster"] = "kyoto"
