"""A remote's webhook lost its caBundle, and istiod may not write it there."""

from live.faults import put_back
from live.faults.objects import change
from live.faults.roles import ROLE

EXPECT = "F09"
CLUSTERS = ("osaka",)
mend = put_back


def break_mesh(mesh):
    change(mesh, "osaka", f"clusterrole/{ROLE}", reads_webhooks)
    change(mesh, "osaka", "mutatingwebhookconfiguration/istio-sidecar-injector", emptied)


def reads_webhooks(role):
    for rule in role["rules"]:
        if "mutatingwebhookconfigurations" in rule["resources"]:
            rule["verbs"] = ["get", "list", "watch"]


def emptied(configuration):
    for webhook in configuration["webhooks"]:
        webhook["clientConfig"].pop("caBundle", None)
