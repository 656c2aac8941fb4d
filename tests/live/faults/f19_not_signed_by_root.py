"""The intermediate in a remote's cacerts is not signed by the root beside it."""

from live.faults import credentials, placements, put_back

EXPECT = "F19"
CLUSTERS = ("osaka",)
mend = put_back


def break_mesh(mesh):
    own = credentials.cacerts(mesh, "osaka")
    other = credentials.cacerts(mesh, "osaka", same_root=False)
    mixed = {**other, "root-cert.pem": own["root-cert.pem"]}
    placements.certificates(mesh, "osaka", mixed)
