"""A remote's Service istiod leads to an address that is not the host's gateway."""

from live.faults import ISTIO, put_back
from live.faults.objects import change, run
from live.faults.regions import nowhere

EXPECT = "F11"
CLUSTERS = ("osaka",)
mend = put_back


def break_mesh(mesh):
    for name in istiod_slices(mesh, "osaka"):
        change(mesh, "osaka", name, lambda item: elsewhere(item, nowhere(mesh)))


def istiod_slices(mesh, cluster):
    chosen = ("-l", "kubernetes.io/service-name=istiod", "-oname")
    return run(mesh, cluster, "-n", ISTIO, "get", "endpointslices", *chosen).split()


def elsewhere(item, address):
    for endpoint in item["endpoints"]:
        endpoint["addresses"] = [address]
