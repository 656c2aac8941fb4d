"""A remote secret has lost the label by which istiod finds it."""

from live.faults import credentials, put_back
from live.faults.objects import change

EXPECT = "F05"
CLUSTERS = ("osaka",)
mend = put_back


def break_mesh(mesh):
    change(mesh, "lisbon", f"{credentials.REMOTE}osaka", unlabelled)


def unlabelled(secret):
    del secret["metadata"]["labels"]["istio/multiCluster"]
