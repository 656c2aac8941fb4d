"""The root's ConfigMap is gone in a remote's namespace, and istiod may not write it."""

from live.faults import SAMPLE, put_back
from live.faults.objects import change, delete
from live.faults.roles import ROLE

EXPECT = "F23"
CLUSTERS = ("osaka",)
mend = put_back


def break_mesh(mesh):
    change(mesh, "osaka", f"clusterrole/{ROLE}", writes_no_maps)
    delete(mesh, "osaka", "configmap/istio-ca-root-cert", SAMPLE)


def writes_no_maps(role):
    for rule in role["rules"]:
        if "configmaps" in rule["resources"]:
            rule["verbs"] = ["get", "list", "watch"]
