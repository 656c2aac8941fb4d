"""A cluster's pods get no answer from its DNS, which runs."""

from live.faults import put_back
from live.faults.regions import DROP, rule

EXPECT = "F51"
CLUSTERS = ("osaka",)
mend = put_back


def break_mesh(mesh):
    rule(mesh, "osaka", "FORWARD", "-p", "udp", "--dport", "53", *DROP)
    rule(mesh, "osaka", "FORWARD", "-p", "tcp", "--dport", "53", *DROP)
