"""An API server gets no connection to its kubelets: exec and logs fail, all else works."""

from live.faults import put_back
from live.faults.regions import REFUSE, rule

EXPECT = "F43"
CLUSTERS = ("osaka",)
mend = put_back


def break_mesh(mesh):
    rule(mesh, "osaka", "OUTPUT", "-p", "tcp", "--dport", "10250", *REFUSE)
