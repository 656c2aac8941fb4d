"""The host reads its remotes, also after a remote's token was taken from it."""

import base64

import pytest
from fakes import FakeKube

from isthmus.adapters import kube, kubeconfigs
from isthmus.facts import Access, Done
from tasks import wiring

HOST = Access(cluster="beijing", kubeconfig="/nowhere", context="c")
REMOTE = Access(cluster="shanghai", kubeconfig="/nowhere", context="d")
SYSTEM = "istio-system"


@pytest.fixture
def clusters(monkeypatch):
    """A host whose istiod runs, and a remote that is not wired yet."""
    made = {access: FakeKube(access) for access in (HOST, REMOTE)}
    monkeypatch.setattr(kube, "connect", made.get)
    monkeypatch.setattr(kubeconfigs, "server", lambda access: ("https://shanghai:6443", ""))
    made[HOST].put(running_deployment())
    made[HOST].put(thing("v1", "Pod", "istiod-1", {"labels": {"app": "istiod"}}))
    hooks = {"webhooks": [{"clientConfig": {"caBundle": "x"}}]}
    made[REMOTE].put(thing(wiring._WEBHOOKS[3], wiring._WEBHOOKS[0], wiring.INJECTOR, {}) | hooks)
    made[REMOTE].reactions.append(fill_token)
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


def wire():
    wiring.wire_secret.fn(HOST, REMOTE, Done(cluster="shanghai"))


def ended(clusters):
    return [w for w in clusters[HOST].writes if w.startswith("DELETE") and "/pods/" in w]


def served(clusters):
    clusters[REMOTE].put(thing("v1", "ConfigMap", wiring.ROOT, {}))


def test_a_remote_that_is_new_restarts_nothing(clusters):
    clusters[HOST].reactions.append(lambda *_: served(clusters))
    wire()
    wire()
    assert ended(clusters) == []


def test_an_istiod_whose_token_was_revoked_begins_anew(clusters):
    served(clusters)
    wire()
    assert ended(clusters) == [f"DELETE /api/v1/namespaces/{SYSTEM}/pods/istiod-1"]
    clusters[HOST].writes.clear()
    wire()
    assert clusters[HOST].writes == []
