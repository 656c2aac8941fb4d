"""What API servers say of pods that they do not create, and whose fault that is."""

import re
from collections.abc import Iterator
from typing import NamedTuple

from isthmus.diagnosis import pods
from isthmus.diagnosis.objects import find, full_name, labels_of, listed, namespace_of
from isthmus.diagnosis.snapshot import ClusterSnapshot, Object
from isthmus.environment.namespaces import ISTIO_NAMESPACE

FAILED_WEBHOOK = re.compile(r'failed calling webhook \\?"([^"\\]+)\\?"')
DENYING_WEBHOOK = re.compile(r'admission webhook \\?"([^"\\]+)\\?" denied the request')
"""A webhook that could not be called, and one that said no, in the words of k8s.io/apiserver
(pkg/admission/plugin/webhook/mutating/dispatcher.go, errors/statuserror.go)."""
OF_ISTIO = ".istio.io"
NOT_IN_TIME = ("timed out", "did not complete within", "deadline exceeded")
"""The words of a client that waited no longer, and of an API server that had no time left."""
UNKNOWN_AUTHORITY = ("x509:", "tls: failed to verify certificate", "certificate has expired")


class Refusal(NamedTuple):
    """A pod that was not created, and why, in the API server's words."""

    object: str
    """What wanted the pod: a Deployment, or the dry run."""
    namespace: str
    message: str

    @property
    def failed_webhook(self) -> str:
        """The name of a webhook that could not be called; empty if that was not it."""
        match = FAILED_WEBHOOK.search(self.message)
        return match[1] if match else ""

    @property
    def denying_webhook(self) -> str:
        """The name of a webhook that said no; empty if that was not it."""
        match = DENYING_WEBHOOK.search(self.message)
        return match[1] if match else ""

    @property
    def is_istiods(self) -> bool:
        """Tell whether it was istiod's own webhook that could not be called."""
        return self.failed_webhook.endswith(OF_ISTIO)

    @property
    def is_late(self) -> bool:
        """Tell whether no answer came in time, and none said which webhook took it."""
        return not self.failed_webhook and any(word in self.message for word in NOT_IN_TIME)

    @property
    def is_of_trust(self) -> bool:
        """Tell whether the webhook's certificate was not taken."""
        return any(word in self.message for word in UNKNOWN_AUTHORITY)


def refusals(cluster: ClusterSnapshot) -> Iterator[Refusal]:
    """Yield what was said to the dry run of a pod, and to Deployments of the mesh."""
    for result in cluster.admission:
        if not result.allowed and result.message:
            told = f"Pod in {result.namespace} (dry run)"
            yield Refusal(told, result.namespace, result.message)
    for deployment in listed(cluster, "Deployment"):
        said = pods.refusal(deployment)
        if said and is_of_mesh(cluster, namespace_of(deployment)):
            yield Refusal(full_name(deployment), namespace_of(deployment), said)


def is_of_mesh(cluster: ClusterSnapshot, namespace: str) -> bool:
    """Tell whether a namespace is Istio's, or one whose pods are injected."""
    space = find(cluster, "Namespace", namespace)
    return namespace == ISTIO_NAMESPACE or (space is not None and is_injected(space))


def is_injected(space: Object) -> bool:
    """Tell whether a namespace's label asks for sidecars (istio.io, Installing the Sidecar)."""
    labels = labels_of(space)
    if "istio-injection" in labels:
        return labels["istio-injection"] == "enabled"
    return bool(labels.get("istio.io/rev"))
