"""The host's pods do not reach a remote's API server: a firewall drops what they send."""

from live.faults import put_back
from live.faults.regions import DROP, node, rule

EXPECT = "F06"
CLUSTERS = ("lisbon", "osaka")
mend = put_back


def break_mesh(mesh):
    rule(mesh, "osaka", "INPUT", "-s", node(mesh, "lisbon"), "-p", "tcp", "--dport", "6443", *DROP)
