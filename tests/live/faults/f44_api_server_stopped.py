"""A remote's API server does not run."""

from live.faults import put_back
from live.faults.regions import stop

EXPECT = "F44"
CLUSTERS = ("nairobi",)
mend = put_back


def break_mesh(mesh):
    stop(mesh, "nairobi", "apiserver")
