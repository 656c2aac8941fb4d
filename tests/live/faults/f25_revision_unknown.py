"""A remote's webhook calls the Service of a revision that is not there."""

from live.faults import put_back
from live.faults.objects import change

EXPECT = "F25"
CLUSTERS = ("osaka",)
mend = put_back


def break_mesh(mesh):
    change(mesh, "osaka", "mutatingwebhookconfiguration/istio-sidecar-injector", canary)


def canary(configuration):
    for webhook in configuration["webhooks"]:
        webhook["clientConfig"]["service"]["name"] = "istiod-canary"
