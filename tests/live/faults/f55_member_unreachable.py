"""KubeFed does not reach one of its members."""

from live.faults import put_back
from live.faults.objects import change
from live.faults.regions import nowhere

from isthmus.environment.namespaces import KUBEFED_NAMESPACE

EXPECT = "F55"
CLUSTERS = ("osaka",)
mend = put_back


def break_mesh(mesh):
    url = f"https://{nowhere(mesh)}:6443"
    where = "kubefedcluster/osaka", lambda item: item["spec"].update(apiEndpoint=url)
    change(mesh, "lisbon", *where, KUBEFED_NAMESPACE)
