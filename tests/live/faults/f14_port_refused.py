"""Nobody listens at a gateway's address: connections are refused."""

from live.faults import put_back
from live.faults.regions import REFUSE, rule

EXPECT = "F14"
CLUSTERS = ("osaka",)
mend = put_back


def break_mesh(mesh):
    rule(mesh, "osaka", "FORWARD", "-i", "eth0", "-p", "tcp", "--dport", "15443", *REFUSE)
