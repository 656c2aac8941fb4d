"""A cluster's DNS is scaled to 0."""

from live.faults import put_back
from live.faults.objects import scale

EXPECT = "F51"
CLUSTERS = ("osaka",)
mend = put_back


def break_mesh(mesh):
    scale(mesh, "osaka", "coredns", 0, "kube-system")
