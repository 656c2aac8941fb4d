"""The host reads its remotes, also after a remote's token was taken from it."""

import base64
import json

import pytest
from fakes import FakeKube
from world import environment

from isthmus.adapters import kube
from isthmus.step_results import Access, Done
from tasks import remote_secrets

HOST = Access(cluster="beijing", kubeconfig="/nowhere", context="c")
SERVER = "https://rancher.example/k8s/clusters/c-m-abc"
SYSTEM = "istio-system"


@pytest.fixture
def remote(tmp_path):
    """A remote behind a proxy with a path, as its kubeconfig has it."""
    authority = base64.b64encode(b"CA of the proxy").decode()
    cluster = {"server": SERVER, "certificate-authority-data": authority}
    document = {
        "clusters": [{"name": "c", "cluster": {**cluster, "tls-server-name": "in.example"}}],
        "users": [{"name": "u", "user": {"token": "administrator"}}],
        "contexts": [{"name": "d", "context": {"cluster": "c", "user": "u"}}],
    }
    (tmp_path / "config").write_text(json.dumps(document))
    return Access(cluster="shanghai", kubeconfig=tmp_path / "config", context="d")


@pytest.fixture
def clusters(monkeypatch, remote):
    """A host whose istiod runs, and a remote that is not wired yet."""
    made = {access: FakeKube(access) for access in (HOST, remote)}
    monkeypatch.setattr(kube, "connect", made.get)
    made[HOST].put(running_deployment())
    made[HOST].put(thing("v1", "Pod", "istiod-1", {"labels": {"app": "istiod"}}))
    hooks = {"webhooks": [{"clientConfig": {"caBundle": "x"}}]}
    made[remote].put(
        thing(remote_secrets._WEBHOOKS[3], remote_secrets._WEBHOOKS[0], remote_secrets.INJECTOR, {})
        | hooks
    )
    made[remote].reactions.append(fill_token)
    return made


def thing(api, kind, name, meta):
    return {
        "apiVersion": api,
        "kind": kind,
        "metadata": {"name": name, "namespace": SYSTEM, **meta},
    }


def running_deployment():
    counts = dict.fromkeys(("updatedReplicas", "availableReplicas", "replicas"), 1)
    found = thing("apps/v1", "Deployment", "istiod", {"generation": 1})
    return {**found, "spec": {"replicas": 1}, "status": {"observedGeneration": 1, **counts}}


def fill_token(cluster, changed):
    if changed["kind"] == "Secret":
        data = {"token": "token", "ca.crt": "ca"}
        changed["data"] = {k: base64.b64encode(v.encode()).decode() for k, v in data.items()}


@pytest.fixture
def wire(remote, clusters):
    return lambda: remote_secrets.create_remote_secret.fn(
        environment(), HOST, remote, Done(cluster="shanghai")
    )


def ended(clusters):
    return [w for w in clusters[HOST].writes if w.startswith("DELETE") and "/pods/" in w]


def served(clusters):
    [remote] = [c for access, c in clusters.items() if access != HOST]
    remote.put(thing("v1", "ConfigMap", remote_secrets.ROOT_CERT_CONFIG_MAP, {}))


def test_a_remote_that_is_new_restarts_nothing(clusters, wire):
    clusters[HOST].reactions.append(lambda *_: served(clusters))
    wire()
    wire()
    assert ended(clusters) == []


def test_an_istiod_whose_token_was_revoked_begins_anew(clusters, wire):
    served(clusters)
    wire()
    assert ended(clusters) == [f"DELETE /api/v1/namespaces/{SYSTEM}/pods/istiod-1"]
    clusters[HOST].writes.clear()
    wire()
    assert clusters[HOST].writes == []


def test_the_hosts_istiod_finds_a_remote_as_its_kubeconfig_does(clusters, wire):
    served(clusters)
    wire()
    data = clusters[HOST].get("Secret", "istio-remote-secret-shanghai", SYSTEM)["data"]
    document = json.loads(base64.b64decode(data["shanghai"]))
    [cluster], [user] = document["clusters"], document["users"]
    assert user["user"] == {"token": "token"}
    authorities = base64.b64decode(cluster["cluster"].pop("certificate-authority-data")).decode()
    assert authorities.splitlines() == ["CA of the proxy", "ca"]
    assert cluster["cluster"] == {"server": SERVER, "tls-server-name": "in.example"}


def test_an_istiod_whose_remote_lost_its_namespace_begins_anew(clusters, wire, remote):
    served(clusters)
    wire()
    clusters[HOST].writes.clear()
    clusters[remote].store.pop(("v1", "configmaps", SYSTEM, remote_secrets.ROOT_CERT_CONFIG_MAP))
    clusters[remote].store.pop(
        ("v1", "secrets", SYSTEM, f"{remote_secrets.READER_SERVICE_ACCOUNT}-isthmus")
    )
    clusters[HOST].put(thing("v1", "Pod", "istiod-1", {"labels": {"app": "istiod"}}))
    # Only the istiod that begins anew writes its trust there again.
    clusters[HOST]._delete = lambda key, own=clusters[HOST]._delete: (own(key), served(clusters))
    wire()
    assert ended(clusters) == [f"DELETE /api/v1/namespaces/{SYSTEM}/pods/istiod-1"]
