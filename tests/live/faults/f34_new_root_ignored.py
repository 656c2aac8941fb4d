"""cacerts has a new root in every cluster, which istiod does not take without another setting."""

from live.faults import credentials, placements, put_back

EXPECT = "F34"
CLUSTERS = ("lisbon",)
WITHIN = 260
"""Seconds: for 180 of them istiod may not have read a changed Secret yet."""
mend = put_back


def break_mesh(mesh):
    for cluster, data in credentials.of_a_new_root(["lisbon", "nairobi", "osaka"]).items():
        placements.certificates(mesh, cluster, data)
