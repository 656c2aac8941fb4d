"""The kubelet of a cluster's only node has ended: the node is not Ready."""

from live.faults import put_back
from live.faults.objects import run
from live.faults.regions import stop

EXPECT = "F52"
CLUSTERS = ("osaka",)
mend = put_back


def break_mesh(mesh):
    stop(mesh, "osaka", "kubelet")
    run(mesh, "osaka", "wait", "--for=condition=Ready=Unknown", "node/osaka", "--timeout=80s")
