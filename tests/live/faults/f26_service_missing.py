"""A caller's cluster has no Service of that name: NXDOMAIN."""

from live.faults import SAMPLE, put_back
from live.faults.objects import delete

EXPECT = "F26"
CLUSTERS = ("osaka",)
mend = put_back


def break_mesh(mesh):
    delete(mesh, "osaka", "service/helloworld", SAMPLE)
