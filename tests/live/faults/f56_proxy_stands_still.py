"""A sidecar stands still: its pod runs, and is not ready."""

from live.faults import SAMPLE, put_back
from live.faults.objects import run
from live.faults.regions import halt

EXPECT = "F56"
CLUSTERS = ("osaka",)
mend = put_back


def break_mesh(mesh):
    chosen = ("-l", "app=helloworld", "-o=jsonpath={.items[0].metadata.name}")
    pod = run(mesh, "osaka", "-n", SAMPLE, "get", "pods", *chosen)
    halt(mesh, "osaka", pod, "envoy")
