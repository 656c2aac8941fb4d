"""What the federation carries: namespaces and secrets, as objects of KubeFed and as plain ones."""

from dataclasses import dataclass, field

from isthmus.adapters.diff import ENVIRONMENT_LABEL
from isthmus.environment import Environment
from isthmus.environment.namespaces import ISTIO_NAMESPACE, KUBEFED_NAMESPACE, SAMPLE_NAMESPACE
from isthmus.render import Manifest, render
from isthmus.stacks import load

CACERTS = "cacerts"

SecretData = dict[str, str]
"""A Secret's content: key -> base64."""


@dataclass(frozen=True)
class NamespaceSpec:
    """A namespace that every cluster has, with what differs from cluster to cluster."""

    name: str
    labels: dict[str, str]
    own_labels: dict[str, dict[str, str]]
    own_annotations: dict[str, dict[str, str]] = field(default_factory=dict)
    members: dict[str, str] = field(default_factory=dict)
    """Cluster -> its name in the federation, where that is another."""

    def namespace(self, cluster: str) -> Manifest:
        """Return the Namespace as one cluster is to have it."""
        meta = {
            "name": self.name,
            "labels": {**self.labels, **self.own_labels[cluster]},
            "annotations": self.own_annotations.get(cluster, {}),
        }
        return {"apiVersion": "v1", "kind": "Namespace", "metadata": meta}

    def federated_namespace(self, environment: str) -> Manifest:
        """Return the FederatedNamespace that makes it in every cluster."""
        clusters = {
            self.members.get(name, name): {
                "labels": labels,
                "annotations": self.own_annotations.get(name, {}),
            }
            for name, labels in self.own_labels.items()
        }
        labels = {ENVIRONMENT_LABEL: environment, **self.labels}
        [manifest] = render(
            "federation/namespace.yaml.j2", name=self.name, labels=labels, clusters=clusters
        )
        return manifest


def istio_namespace_spec(environment: Environment) -> NamespaceSpec:
    """Return istio-system: each cluster's in its own network, remotes' under the host's control.

    A stack with meshNetworks says neither there, but in the host's control plane.
    """
    host, given = environment.host.name, environment.namespaces.labels
    if load(environment.stack).networks == "meshNetworks":
        return NamespaceSpec(
            ISTIO_NAMESPACE, given, _nothing(environment), members=_members(environment)
        )
    return NamespaceSpec(
        ISTIO_NAMESPACE,
        given,
        {c.name: {"topology.istio.io/network": c.network} for c in environment.clusters},
        {c.name: {"topology.istio.io/controlPlaneClusters": host} for c in environment.remotes},
        _members(environment),
    )


def sample_namespace_spec(environment: Environment) -> NamespaceSpec:
    """Return the sample's namespace: its pods are injected, in every cluster alike."""
    injected = {**environment.namespaces.labels, "istio-injection": "enabled"}
    return NamespaceSpec(
        SAMPLE_NAMESPACE, injected, _nothing(environment), members=_members(environment)
    )


def kubefed_namespace_spec(environment: Environment) -> NamespaceSpec:
    """Return the namespace of KubeFed's own pods, in the host."""
    host = environment.host.name
    return NamespaceSpec(KUBEFED_NAMESPACE, environment.namespaces.labels, {host: {}})


def _nothing(environment: Environment) -> dict[str, dict[str, str]]:
    return {c.name: {} for c in environment.clusters}


def _members(environment: Environment) -> dict[str, str]:
    return {c.name: c.member_name for c in environment.clusters}


def cacerts_secret(data: SecretData) -> Manifest:
    """Return the Secret `cacerts` of one cluster."""
    meta = {"name": CACERTS, "namespace": ISTIO_NAMESPACE}
    return {
        "apiVersion": "v1", "kind": "Secret", "metadata": meta, "type": "Opaque", "data": data,
    }  # fmt: skip


def federated_cacerts_secret(environment: str, clusters: dict[str, SecretData]) -> Manifest:
    """Return the FederatedSecret that gives every cluster a `cacerts` of its own."""
    [manifest] = render(
        "federation/secret.yaml.j2",
        name=CACERTS,
        namespace=ISTIO_NAMESPACE,
        labels={ENVIRONMENT_LABEL: environment},
        clusters=clusters,
    )
    return manifest
