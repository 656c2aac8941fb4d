"""What istiod is told beyond the stack's own words: what the cluster and the trust ask for."""

import shutil

import pytest
from world import environment

from isthmus import binaries, mesh_ca, providers, state
from isthmus.adapters import istioctl, kube
from isthmus.istio_manifests import resolve_environment
from isthmus.providers.base import ProviderDefaults
from tasks import install

GUIDE = environment(stack="guide")


@pytest.fixture
def told(cluster, folders, monkeypatch):
    """Return the host in memory, and the operators that istioctl is given."""
    host, given = cluster(), []
    monkeypatch.setattr(kube, "connect", lambda access: host)
    monkeypatch.setattr(binaries, "ensure", lambda environment, name: name)
    monkeypatch.setattr(providers, "get_provider", lambda environment: Existing())
    monkeypatch.setattr(istioctl, "manifests", lambda program, made: given.append(made) or [])
    return host, given


class Existing:
    defaults = ProviderDefaults()


def policy(operator):
    return operator["spec"]["values"]["global"].get("jwtPolicy")


def test_where_pods_get_no_tokens_for_an_audience_old_ones_do(told):
    host, given = told
    install.host_manifests(resolve_environment(GUIDE), host.access)
    host.parts.clear()
    install.host_manifests(resolve_environment(GUIDE), host.access)
    install.host_manifests(resolve_environment(environment()), host.access)
    assert [policy(operator) for operator in given] == [None, "first-party-jwt", None]


def test_a_renewed_intermediate_starts_a_new_istiod_where_the_old_one_would_not_read_it(told):
    host, given = told
    ca = state.ensure_folder(GUIDE.name) / "ca"
    for _ in range(2):
        mesh_ca.cacerts(ca, "beijing", "rsa")
        for _ in range(2):
            install.host_manifests(resolve_environment(GUIDE), host.access)
        shutil.rmtree(ca / "beijing")
    marks = [o["spec"]["components"]["pilot"]["k8s"]["podAnnotations"] for o in given]
    seen = [mark["isthmus/intermediate"] for mark in marks]
    assert seen[0] == seen[1] != seen[2] == seen[3] and all(seen)
    assert {mark["isthmus/networks"] for mark in marks} == {"net-beijing net-shanghai"}
    install.host_manifests(resolve_environment(environment()), host.access)
    assert "pilot" not in given[-1]["spec"]["components"]
