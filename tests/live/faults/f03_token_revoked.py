"""The Secret of the reader's token was deleted in a remote, and with it the token."""

from live.faults import credentials, put_back
from live.faults.objects import delete

EXPECT = "F03"
CLUSTERS = ("osaka",)
mend = put_back


def break_mesh(mesh):
    delete(mesh, "osaka", f"secret/{credentials.READER}-isthmus")
