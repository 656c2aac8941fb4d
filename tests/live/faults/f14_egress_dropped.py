"""A cluster's pods reach no other gateway: its own firewall drops them."""

from live.faults import put_back
from live.faults.regions import DROP, gateway, rule

EXPECT = "F14"
CLUSTERS = ("nairobi",)
mend = put_back


def break_mesh(mesh):
    for other in ("lisbon", "osaka"):
        to = ("-d", gateway(mesh, other))
        rule(mesh, "nairobi", "FORWARD", *to, "-p", "tcp", "--dport", "15443", *DROP)
