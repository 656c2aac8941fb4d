"""istiod knows a remote by another ID than the remote's own proxies say."""

from live.faults import credentials, put_back
from live.faults.objects import change

EXPECT = "F07"
CLUSTERS = ("osaka",)
mend = put_back


def break_mesh(mesh):
    change(mesh, "lisbon", f"{credentials.REMOTE}osaka", renamed)


def renamed(secret):
    secret["data"] = {"kyoto": secret["data"]["osaka"]}
    secret["metadata"]["annotations"]["networking.istio.io/cluster"] = "kyoto"
