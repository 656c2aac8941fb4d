"""A gateway knows every network, and hands requests back to where they came from."""

from live.faults import ISTIO, put_back
from live.faults.objects import change, run

EXPECT = "F32"
CLUSTERS = ("osaka",)
mend = put_back


def break_mesh(mesh):
    change(mesh, "osaka", "deployment/istio-eastwestgateway", without_view)
    where = ("-n", ISTIO, "rollout", "status", "deployment/istio-eastwestgateway")
    run(mesh, "osaka", *where, "--timeout=80s")


def without_view(deployment):
    [container] = deployment["spec"]["template"]["spec"]["containers"]
    env = container["env"]
    container["env"] = [e for e in env if e["name"] != "ISTIO_META_REQUESTED_NETWORK_VIEW"]
