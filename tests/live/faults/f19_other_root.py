"""A remote's cacerts is of another root than the mesh's."""

from live.faults import credentials, placements, put_back

EXPECT = "F19"
CLUSTERS = ("osaka",)
mend = put_back


def break_mesh(mesh):
    other = credentials.cacerts(mesh, "osaka", same_root=False)
    placements.certificates(mesh, "osaka", other)
