"""The mesh's trust domain was changed after its proxies had got their certificates."""

import yaml
from live.faults import put_back
from live.faults.objects import change

EXPECT = "F22"
CLUSTERS = ("lisbon",)
mend = put_back


def break_mesh(mesh):
    change(mesh, "lisbon", "configmap/istio", other_domain)


def other_domain(config):
    config["data"]["mesh"] = meshed(config, trustDomain="east.example")


def meshed(config, **changes):
    return yaml.safe_dump({**yaml.safe_load(config["data"]["mesh"]), **changes})
