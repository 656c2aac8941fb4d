"""The service's image cannot be had in one cluster, where the old pod ends before the new one."""

from live.faults import placements, put_back

EXPECT = "F46"
CLUSTERS = ("osaka",)
mend = put_back


def break_mesh(mesh):
    placements.override(
        mesh,
        "osaka",
        "/spec/strategy",
        {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1, "maxSurge": 0}},
    )
    path = "/spec/template/spec/containers/0/image"
    placements.override(mesh, "osaka", path, "isthmus.invalid/helloworld:none")
