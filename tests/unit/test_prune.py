"""Taking out again: all that is ours by its label, in an order in which it can end, and no more."""

import pytest
from fakes import limited

from isthmus import events
from isthmus.adapters import prune
from isthmus.adapters.diff import ENVIRONMENT_LABEL, KEEP
from isthmus.errors import ClusterUnreachable, NotReady, Rejected


def put(cluster, api, kind, name, owner="pair", namespace=""):
    meta = {"name": name, "labels": {ENVIRONMENT_LABEL: owner} if owner else {}}
    if namespace:
        meta["namespace"] = namespace
    return cluster.put({"apiVersion": api, "kind": kind, "metadata": meta})


HOOK = ("admissionregistration.k8s.io/v1", "MutatingWebhookConfiguration")
KIND = ("apiextensions.k8s.io/v1", "CustomResourceDefinition")


@pytest.fixture
def full(cluster):
    made = cluster()
    put(made, "v1", "Namespace", "sample")
    put(made, "apps/v1", "Deployment", "sleep", namespace="sample")
    put(made, *KIND, "gateways.networking.istio.io")
    put(made, "networking.istio.io/v1", "Gateway", "in", namespace="sample")
    put(made, *HOOK, "istio-sidecar-injector")
    put(made, "v1", "Namespace", "theirs", owner="")
    put(made, "v1", "Secret", "cacerts", owner="triple", namespace="theirs")
    return made


ROOT = "-----BEGIN CERTIFICATE-----\nours\n-----END CERTIFICATE-----\n"


def names(cluster):
    return {key[3] for key in cluster.store}


def test_all_that_is_ours_goes_and_nothing_else(full):
    assert prune.remove_everything(full, "pair", ROOT) == 5
    assert names(full) == {"theirs", "cacerts"}


def test_webhooks_go_first_and_what_holds_others_last(full):
    prune.remove_everything(full, "pair", ROOT)
    order = [path.split("/")[-1] for path in full.writes]
    assert order[0] == "istio-sidecar-injector"
    assert set(order[-2:]) == {"sample", "gateways.networking.istio.io"}


@pytest.mark.parametrize(("root", "stays"), [(ROOT, False), ("another mesh's", True)])
def test_our_root_goes_from_other_namespaces_and_another_meshs_stays(full, root, stays):
    meta = {"name": "istio-ca-root-cert", "namespace": "theirs"}
    meta["labels"] = {"istio.io/config": "true"}
    data = {"root-cert.pem": root}
    full.put({"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": data})
    prune.remove_everything(full, "pair", ROOT)
    assert ("istio-ca-root-cert" in names(full)) is stays


def test_a_namespace_that_was_handed_over_stays_with_what_is_others(full):
    full.merge_patch("Namespace", "sample", {"metadata": {"labels": {KEEP: "true"}}})
    mine, theirs = ({"name": name, "namespace": "sample"} for name in ("istio-leader", "theirs"))
    mine["managedFields"] = [{"manager": "pilot-discovery"}]
    for meta in (mine, theirs):
        full.put({"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta})
    full.writes.clear()
    prune.remove_everything(full, "pair", ROOT)
    assert names(full) == {"theirs", "cacerts", "sample"}
    assert ("v1", "configmaps", "sample", "theirs") in full.store
    assert full.writes[-1] == "PATCH /api/v1/namespaces/sample", "our labels go at the end"


def test_removing_again_finds_nothing(full):
    prune.remove_everything(full, "pair", ROOT)
    before = list(full.writes)
    assert prune.remove_everything(full, "pair", ROOT) == 0
    assert full.writes == before


def test_only_the_kinds_that_are_meant_go(full):
    assert prune.remove_owned(full, "pair", "networking.istio.io/v1", ["Gateway"]) == 1
    assert "sleep" in names(full) and "in" not in names(full)
    assert prune.remove_owned(full, "pair", "v1", ["Unknown"]) == 0


def test_a_domains_kinds_go_whoever_made_them(full):
    put(full, *KIND, "kubefedclusters.core.kubefed.io", owner="")
    put(full, *KIND, "things.notkubefed.io", owner="")
    prune.remove_crds(full, "kubefed.io")
    assert names(full) >= {"gateways.networking.istio.io", "things.notkubefed.io"}
    assert "kubefedclusters.core.kubefed.io" not in names(full)


def test_what_does_not_end_is_named(full, monkeypatch):
    monkeypatch.setattr(full, "_delete", lambda key: {"being": "deleted"})
    what = "MutatingWebhookConfiguration istio-sidecar-inj"
    with limited(deletion=0), pytest.raises(NotReady, match=what) as caught:
        prune.remove_everything(full, "pair", ROOT)
    assert caught.value.cluster == "beijing"


def test_what_came_anew_under_the_same_name_is_not_waited_for(full):
    delete = full._delete

    def delete_and_make_again(key):
        delete(key)
        full.put({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}})
        full.store[key] = {"kind": "x", "metadata": {"name": key[3], "uid": "a new one"}}
        return {}

    full._delete = delete_and_make_again
    assert prune.remove_owned(full, "pair", "apps/v1", ["Deployment"]) == 1


def test_a_cluster_that_does_not_answer_is_no_empty_cluster(full):
    full.failures = [ClusterUnreachable("HTTP 503")]
    with pytest.raises(ClusterUnreachable):
        prune.remove_everything(full, "pair", ROOT)


BROKEN = {"example.com/v1": "Thing", "metrics.k8s.io/v1beta1": "PodMetrics"}


@pytest.mark.parametrize(
    "error", [ClusterUnreachable("HTTP 500: conversion"), Rejected("HTTP 404")]
)
def test_a_kind_of_others_that_cannot_be_listed_is_passed_over_and_told(full, error):
    full.served |= {api: [kind] for api, kind in BROKEN.items()}
    ask, said = full.request, []

    def request(method, path, body=None, content=""):
        if "/things" in path or "/podmetricss" in path:
            raise error
        return ask(method, path, body, content)

    full.request = request
    with events.subscribe(lambda e: said.append(e.text)):
        with events.in_step(events.Event("started", "w", "remove objects")):
            assert prune.remove_everything(full, "pair", ROOT) == 5
    assert any("Thing (example.com/v1) cannot be listed" in text for text in said)


def test_a_kind_of_ours_that_cannot_be_listed_is_no_empty_list(full):
    ask = full.request

    def request(method, path, body=None, content=""):
        if path.startswith("/apis/networking.istio.io/v1/gateways?"):
            raise ClusterUnreachable("HTTP 500")
        return ask(method, path, body, content)

    full.request = request
    with pytest.raises(ClusterUnreachable):
        prune.remove_everything(full, "pair", ROOT)


@pytest.mark.parametrize(("another", "stay"), [(False, False), (True, True)])
def test_gateway_classes_that_istiod_made_go_with_it(full, another, stay):
    full.served["gateway.networking.k8s.io/v1"] = ["GatewayClass*"]
    for name, manager in {"istio": "pilot-discovery", "theirs-own": "kubectl"}.items():
        meta = {"name": name, "managedFields": [{"manager": manager}]}
        full.put(
            {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "GatewayClass", "metadata": meta}
        )
    if another:
        meta = {"name": "istiod", "namespace": "theirs", "labels": {"app": "istiod"}}
        full.put({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta})
    prune.remove_everything(full, "pair", ROOT)
    assert "theirs-own" in names(full)
    assert ("istio" in names(full)) is stay


def test_an_account_that_may_not_delete_them_leaves_the_classes_and_ends_well(full):
    full.served["gateway.networking.k8s.io/v1"] = ["GatewayClass*"]
    meta = {"name": "istio", "managedFields": [{"manager": "pilot-discovery"}]}
    kind = {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "GatewayClass"}
    full.put({**kind, "metadata": meta})
    delete = full._delete

    def forbid(key):
        if key[1] == "gatewayclasss":
            raise Rejected("HTTP 403")
        return delete(key)

    full._delete = forbid
    assert prune.remove_everything(full, "pair", ROOT) == 5
    assert "istio" in names(full)


def test_what_an_end_waits_for_is_said_in_the_clusters_words(full, monkeypatch):
    said = "Discovery failed for some groups: metrics.k8s.io/v1beta1: stale"
    delete = full._delete

    def held(key):
        if key[1] != "namespaces":
            return delete(key)
        space = full.store[key]
        space["status"] = {"conditions": [{"type": "X", "status": "True", "message": said}]}
        space["metadata"]["finalizers"] = ["example.com/hold"]
        return space

    monkeypatch.setattr(full, "_delete", held)
    with limited(deletion=0), pytest.raises(NotReady) as caught:
        prune.remove_everything(full, "pair", ROOT)
    assert f"Namespace sample ({said}, finalizer example.com/hold)" in str(caught.value)
