"""istiod waits for ever for a remote that does not answer: its limit is set to 0."""

from live.faults import ISTIO, put_back
from live.faults.objects import change, run

EXPECT = "F01"
CLUSTERS = ("lisbon",)
mend = put_back


def break_mesh(mesh):
    change(mesh, "lisbon", "deployment/istiod", unlimited)
    run(mesh, "lisbon", "-n", ISTIO, "rollout", "status", "deployment/istiod", "--timeout=80s")


def unlimited(deployment):
    [container] = deployment["spec"]["template"]["spec"]["containers"]
    env = [e for e in container["env"] if e["name"] != "PILOT_REMOTE_CLUSTER_TIMEOUT"]
    container["env"] = [*env, {"name": "PILOT_REMOTE_CLUSTER_TIMEOUT", "value": "0s"}]
