"""A Service has another port in one cluster than in the others."""

from live.faults import SAMPLE, put_back
from live.faults.objects import change

EXPECT = "F54"
CLUSTERS = ("osaka",)
mend = put_back


def break_mesh(mesh):
    change(mesh, "osaka", "service/helloworld", other_port, SAMPLE)


def other_port(service):
    service["spec"]["ports"][0].update(port=5001)
