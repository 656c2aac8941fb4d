"""The Service of a gateway selects none of its pods."""

from live.faults import put_back
from live.faults.objects import change

EXPECT = "F33"
CLUSTERS = ("nairobi",)
mend = put_back


def break_mesh(mesh):
    change(mesh, "nairobi", "service/istio-eastwestgateway", selects_nothing)


def selects_nothing(service):
    service["spec"]["selector"]["app"] = "istio-westgateway"
