"""An AuthorizationPolicy denies every request to the service."""

from live.faults import SAMPLE, put_back
from live.faults.objects import add

EXPECT = "F48"
CLUSTERS = ("lisbon",)
mend = put_back


def break_mesh(mesh):
    spec = {"selector": {"matchLabels": {"app": "helloworld"}}, "action": "DENY", "rules": [{}]}
    kind = {"apiVersion": "security.istio.io/v1", "kind": "AuthorizationPolicy"}
    add(mesh, "lisbon", {**kind, "metadata": {"name": "closed", "namespace": SAMPLE}, "spec": spec})
