"""One remote does not reach another one's gateway; everybody else does."""

from live.faults import put_back
from live.faults.regions import DROP, node, rule

EXPECT = "F14"
CLUSTERS = ("nairobi", "osaka")
mend = put_back


def break_mesh(mesh):
    source = ("-s", node(mesh, "nairobi"))
    rule(mesh, "osaka", "FORWARD", *source, "-p", "tcp", "--dport", "15443", *DROP)
