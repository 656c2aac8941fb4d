"""MeshConfig says that the service is answered by the caller's own cluster alone."""

from live.faults import HELLOWORLD, put_back
from live.faults.f22_trust_domain import meshed
from live.faults.objects import change

EXPECT = "F27"
CLUSTERS = ("lisbon",)
mend = put_back


def break_mesh(mesh):
    change(mesh, "lisbon", "configmap/istio", local)


def local(config):
    rule = {"settings": {"clusterLocal": True}, "hosts": [HELLOWORLD]}
    config["data"]["mesh"] = meshed(config, serviceSettings=[rule])
