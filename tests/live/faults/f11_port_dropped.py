"""A remote's pods do not reach istiod through the host's gateway: port 15012 is dropped."""

from live.faults import put_back
from live.faults.regions import DROP, rule

EXPECT = "F11"
CLUSTERS = ("osaka", "lisbon")
mend = put_back


def break_mesh(mesh):
    rule(mesh, "osaka", "FORWARD", "-p", "tcp", "--dport", "15012", *DROP)
