"""A PeerAuthentication turns mutual TLS off for the service."""

from live.faults import SAMPLE, put_back
from live.faults.objects import add

EXPECT = "F28"
CLUSTERS = ("lisbon",)
mend = put_back


def break_mesh(mesh):
    spec = {"mtls": {"mode": "DISABLE"}, "selector": {"matchLabels": {"app": "helloworld"}}}
    meta = {"name": "plain", "namespace": SAMPLE}
    kind = {"apiVersion": "security.istio.io/v1", "kind": "PeerAuthentication"}
    add(mesh, "lisbon", {**kind, "metadata": meta, "spec": spec})
