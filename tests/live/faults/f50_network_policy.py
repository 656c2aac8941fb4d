"""A NetworkPolicy admits nothing to a gateway; whether it is enforced cannot be seen."""

from live.faults import ISTIO, put_back
from live.faults.objects import add

EXPECT = "F50"
CLUSTERS = ("osaka",)
mend = put_back


def break_mesh(mesh):
    spec = {
        "podSelector": {"matchLabels": {"istio": "eastwestgateway"}},
        "policyTypes": ["Ingress"],
    }
    kind = {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy"}
    add(mesh, "osaka", {**kind, "metadata": {"name": "closed", "namespace": ISTIO}, "spec": spec})
