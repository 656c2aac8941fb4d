"""A remote secret lies in a namespace where istiod does not look."""

from live.faults import credentials, put_back
from live.faults.objects import OF_THE_SERVER, add, delete, get

EXPECT = "F05"
CLUSTERS = ("osaka",)
mend = put_back


def break_mesh(mesh):
    secret = get(mesh, "lisbon", f"{credentials.REMOTE}osaka")
    delete(mesh, "lisbon", f"{credentials.REMOTE}osaka")
    meta = {**secret["metadata"], "namespace": "default"}
    for field in OF_THE_SERVER:
        meta.pop(field, None)
    add(mesh, "lisbon", {**secret, "metadata": meta})
