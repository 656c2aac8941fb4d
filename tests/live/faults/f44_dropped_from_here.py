"""A remote's API server is shut to where Isthmus runs; its mesh works."""

from live.faults import put_back
from live.faults.regions import DROP, bridge, rule

EXPECT = "F44"
CLUSTERS = ("osaka",)
mend = put_back


def break_mesh(mesh):
    here = ("-s", str(bridge(mesh)))
    rule(mesh, "osaka", "INPUT", *here, "-p", "tcp", "--dport", "6443", *DROP)
