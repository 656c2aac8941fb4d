"""The remote secret of a cluster is gone."""

from live.faults import credentials, put_back
from live.faults.objects import delete

EXPECT = "F05"
CLUSTERS = ("osaka",)
mend = put_back


def break_mesh(mesh):
    delete(mesh, "lisbon", f"{credentials.REMOTE}osaka")
