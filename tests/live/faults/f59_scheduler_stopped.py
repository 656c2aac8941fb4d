"""The scheduler of a cluster has ended, and a pod that was replaced gets no node."""

from live.faults import SAMPLE, put_back
from live.faults.objects import run
from live.faults.regions import stop

EXPECT = "F59"
CLUSTERS = ("osaka",)
mend = put_back


def break_mesh(mesh):
    stop(mesh, "osaka", "scheduler")
    run(mesh, "osaka", "-n", SAMPLE, "delete", "pod", "-l", "app=helloworld")
