"""A remote's API server does not reach istiod's webhook through the host's gateway."""

from live.faults import put_back
from live.faults.regions import DROP, rule

EXPECT = "F10"
CLUSTERS = ("osaka",)
mend = put_back


def break_mesh(mesh):
    rule(mesh, "osaka", "OUTPUT", "-p", "tcp", "--dport", "15017", *DROP)
