"""What an API server sends to its kubelets is dropped."""

from live.faults import put_back
from live.faults.regions import DROP, rule

EXPECT = "F43"
CLUSTERS = ("osaka",)
mend = put_back


def break_mesh(mesh):
    rule(mesh, "osaka", "OUTPUT", "-p", "tcp", "--dport", "10250", *DROP)
