"""A remote's gateway is scaled to 0: every request is answered, all by others."""

from live.faults import put_back
from live.faults.objects import scale

EXPECT = "F33"
CLUSTERS = ("osaka",)
mend = put_back


def break_mesh(mesh):
    scale(mesh, "osaka", "istio-eastwestgateway", 0)
