"""The intermediate in the host's cacerts has expired."""

from live.faults import credentials, placements, put_back

EXPECT = "F21"
CLUSTERS = ("lisbon",)
mend = put_back


def break_mesh(mesh):
    data = credentials.cacerts(mesh, "lisbon", days=-0.02, age=400)
    placements.certificates(mesh, "lisbon", data)
