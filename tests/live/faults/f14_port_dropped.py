"""A firewall drops what comes to a gateway."""

from live.faults import put_back
from live.faults.regions import DROP, rule

EXPECT = "F14"
CLUSTERS = ("osaka",)
mend = put_back


def break_mesh(mesh):
    rule(mesh, "osaka", "FORWARD", "-i", "eth0", "-p", "tcp", "--dport", "15443", *DROP)
