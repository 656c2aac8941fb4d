"""The host has no cacerts: an istiod that starts makes a root of its own."""

from live.faults import ISTIO, placements, put_back

EXPECT = "F20"
CLUSTERS = ("lisbon",)
mend = put_back


def break_mesh(mesh):
    placements.without(mesh, "lisbon", "federatedsecret/cacerts", ISTIO)
