"""Behind a gateway's port 15443 is a listener that speaks no TLS."""

from live.faults import put_back
from live.faults.objects import change

EXPECT = "F15"
CLUSTERS = ("osaka",)
mend = put_back


def break_mesh(mesh):
    change(mesh, "osaka", "service/istio-eastwestgateway", misled)


def misled(service):
    [port] = [p for p in service["spec"]["ports"] if p["port"] == 15443]
    port["targetPort"] = 15021
