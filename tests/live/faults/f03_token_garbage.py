"""A remote secret holds a token that its API server never gave."""

from live.faults import credentials, put_back

EXPECT = "F03"
CLUSTERS = ("osaka",)
mend = put_back


def break_mesh(mesh):
    credentials.kubeconfig(mesh, "osaka", spoilt)


def spoilt(cluster, user):
    head, claims, signature = user["token"].split(".")
    user["token"] = f"{head}.{claims}.{signature[::-1]}"
