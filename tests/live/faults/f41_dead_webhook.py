"""Another webhook, whose Service is gone, refuses every pod."""

from live.faults import SAMPLE, put_back
from live.faults.objects import add

EXPECT = "F41"
CLUSTERS = ("osaka",)
mend = put_back


def break_mesh(mesh):
    operation = {"apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"]}
    webhook = {
        "name": "pods.policy.example",
        "clientConfig": {"service": {"name": "policy", "namespace": "policy", "path": "/"}},
        "rules": [{**operation, "operations": ["CREATE"]}],
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": SAMPLE}},
        "failurePolicy": "Fail",
        "sideEffects": "None",
        "timeoutSeconds": 2,
        "admissionReviewVersions": ["v1"],
    }
    kind = {"apiVersion": "admissionregistration.k8s.io/v1"}
    kind["kind"] = "ValidatingWebhookConfiguration"
    add(mesh, "osaka", {**kind, "metadata": {"name": "policy"}, "webhooks": [webhook]})
