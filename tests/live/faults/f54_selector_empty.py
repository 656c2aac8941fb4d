"""A Service selects none of its pods in one cluster."""

from live.faults import SAMPLE, put_back
from live.faults.objects import change

EXPECT = "F54"
CLUSTERS = ("osaka",)
mend = put_back


def break_mesh(mesh):
    change(mesh, "osaka", "service/helloworld", selects_nothing, SAMPLE)


def selects_nothing(service):
    service["spec"]["selector"] = {"app": "hello-world"}
