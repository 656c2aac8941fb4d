"""istiod looks only at namespaces with a label that the service's has not."""

from live.faults import put_back
from live.faults.f22_trust_domain import meshed
from live.faults.objects import change

EXPECT = "F30"
CLUSTERS = None
mend = put_back


def break_mesh(mesh):
    change(mesh, "lisbon", "configmap/istio", selective)


def selective(config):
    selector = [{"matchLabels": {"team": "platform"}}]
    config["data"]["mesh"] = meshed(config, discoverySelectors=selector)
