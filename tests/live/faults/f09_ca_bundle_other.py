"""A remote's webhook trusts another root than istiod's, which may not write it there."""

from live.faults import credentials, put_back
from live.faults.f09_ca_bundle_empty import reads_webhooks
from live.faults.objects import change
from live.faults.roles import ROLE

EXPECT = "F09"
CLUSTERS = ("osaka",)
mend = put_back


def break_mesh(mesh):
    other = credentials.cacerts(mesh, "osaka", same_root=False)["root-cert.pem"]

    def replaced(configuration):
        for webhook in configuration["webhooks"]:
            webhook["clientConfig"]["caBundle"] = other

    change(mesh, "osaka", f"clusterrole/{ROLE}", reads_webhooks)
    change(mesh, "osaka", "mutatingwebhookconfiguration/istio-sidecar-injector", replaced)
