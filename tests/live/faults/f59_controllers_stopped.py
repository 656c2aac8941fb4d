"""The controller manager of a cluster has ended, and nobody replaces a pod that was deleted."""

from live.faults import SAMPLE, put_back
from live.faults.objects import run
from live.faults.regions import stop

EXPECT = "F59"
CLUSTERS = ("osaka",)
mend = put_back


def break_mesh(mesh):
    stop(mesh, "osaka", "controller-manager")
    run(mesh, "osaka", "-n", SAMPLE, "delete", "pod", "-l", "app=helloworld")
