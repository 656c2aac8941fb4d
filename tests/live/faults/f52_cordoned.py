"""A cluster's only node takes no new pods."""

from live.faults import put_back
from live.faults.objects import change

EXPECT = "F52"
CLUSTERS = ("osaka",)
mend = put_back


def break_mesh(mesh):
    change(mesh, "osaka", "node/osaka", lambda node: node["spec"].update(unschedulable=True))
