"""Two remote secrets claim the same cluster."""

from live.faults import credentials, put_back
from live.faults.objects import OF_THE_SERVER, add, get

EXPECT = "F08"
CLUSTERS = ("osaka",)
mend = put_back


def break_mesh(mesh):
    secret = get(mesh, "lisbon", f"{credentials.REMOTE}osaka")
    meta = {**secret["metadata"], "name": "istio-remote-secret-osaka-old"}
    for field in OF_THE_SERVER:
        meta.pop(field, None)
    add(mesh, "lisbon", {**secret, "metadata": meta})
