"""The intermediate in the host's cacerts has twenty days left, and nobody renews it."""

from live.faults import credentials, placements, put_back

EXPECT = "F21"
CLUSTERS = ("lisbon",)
mend = put_back


def break_mesh(mesh):
    data = credentials.cacerts(mesh, "lisbon", days=20, age=700)
    placements.certificates(mesh, "lisbon", data)
