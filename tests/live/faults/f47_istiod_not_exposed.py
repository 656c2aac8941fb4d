"""The VirtualService by which remotes reach istiod is gone."""

from live.faults import put_back
from live.faults.objects import delete

EXPECT = "F47"
CLUSTERS = ("lisbon",)
mend = put_back


def break_mesh(mesh):
    delete(mesh, "lisbon", "virtualservices.networking.istio.io/istiod-vs")
