"""A VirtualService leads to a subset that no DestinationRule has."""

from live.faults import HELLOWORLD, put_back
from live.faults.f49_fault_injected import add_route

EXPECT = "F49"
CLUSTERS = ("lisbon",)
mend = put_back


def break_mesh(mesh):
    add_route(mesh, {"route": [{"destination": {"host": HELLOWORLD, "subset": "v3"}}]})
