"""The key in the host's cacerts is not that of its certificate; istiod goes on with what it had."""

from live.faults import credentials, placements, put_back

EXPECT = "F20"
CLUSTERS = ("lisbon",)
mend = put_back


def break_mesh(mesh):
    one, other = credentials.cacerts(mesh, "lisbon"), credentials.cacerts(mesh, "lisbon")
    placements.certificates(mesh, "lisbon", {**one, "ca-key.pem": other["ca-key.pem"]})
