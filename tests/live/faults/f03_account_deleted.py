"""The reader's ServiceAccount was deleted in a remote, and every token of it ended."""

from live.faults import credentials, put_back
from live.faults.objects import delete
from live.faults.regions import again

EXPECT = "F03"
CLUSTERS = ("nairobi",)
mend = put_back


def break_mesh(mesh):
    again(mesh)  # an account that is made anew has another UID, and so needs another token
    delete(mesh, "nairobi", f"serviceaccount/{credentials.READER}")
