"""The Gateway for other networks lets in names of another domain alone."""

from live.faults import put_back
from live.faults.objects import change

EXPECT = "F47"
CLUSTERS = ("lisbon",)
mend = put_back


def break_mesh(mesh):
    change(mesh, "lisbon", "gateways.networking.istio.io/cross-network-gateway", narrowed)


def narrowed(gateway):
    gateway["spec"]["servers"][0]["hosts"] = ["*.example"]
