"""Whatever of ours is missing: one `up` mends it, and says what it changed. Every kind is tried."""

import pytest
from live.bare import PASSING, client

from isthmus import tools
from isthmus.adapters import federated, helm
from isthmus.adapters.manifests import LABEL, describe

HOST, REMOTE = "lisbon", "osaka"
WHOLE = {"Namespace", "CustomResourceDefinition", "FederatedNamespace"}
"""Kinds whose end takes all else along: to delete one of them is to take the mesh away."""
TOGETHER = {
    "what runs": {"Deployment", "Service", "HorizontalPodAutoscaler", "PodDisruptionBudget"},
    "who may": {"ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"},
    "what is known": {"Secret", "ConfigMap", "Gateway", "VirtualService", "EnvoyFilter"},
    "who is asked": {"MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"},
    "the federation": {
        "FederatedDeployment",
        "FederatedSecret",
        "FederatedTypeConfig",
        "KubeFedCluster",
        "KubeFedConfig",
    },
}


def ours(mesh, cluster):
    """Return every object that an `up` has made in a cluster, KubeFed's included."""
    there = client(cluster, mesh.folder / "kubeconfig")
    kinds = [(api, kind) for api, kind, plural in there.kinds.removable() if plural not in PASSING]
    marks = (f"{LABEL}={mesh.name}", "kubefed.io/managed=true")
    found = [
        m
        for api, kind in kinds
        for mark in marks
        for m in there.objects(kind, api=api, labels=mark)
    ]
    if cluster == HOST:
        chart = tools.ensure(mesh.environment, tools.CHART)
        found += helm.objects(there, federated.RELEASE, federated.NAMESPACE, chart)
        found += there.objects("KubeFedCluster", api=federated.CORE)
    return {describe(m): m for m in found if m["kind"] not in WHOLE}


@pytest.mark.parametrize("kinds", TOGETHER.values(), ids=TOGETHER)
def test_what_was_deleted_is_back_after_one_up(mesh, kinds):
    before = {cluster: ours(mesh, cluster) for cluster in (HOST, REMOTE)}
    for cluster, found in before.items():
        gone = [m for m in found.values() if m["kind"] in kinds]
        there = client(cluster, mesh.folder / "kubeconfig")
        for manifest in gone:
            there.delete(manifest)
    _, said = mesh.isthmus.run("up", mesh.file)
    assert "changed" in said
    for cluster, found in before.items():
        assert found.keys() - ours(mesh, cluster).keys() == set()


def test_no_kind_of_ours_is_forgotten_above(mesh):
    tried = WHOLE.union(*TOGETHER.values())
    for cluster in (HOST, REMOTE):
        assert {m["kind"] for m in ours(mesh, cluster).values()} <= tried
