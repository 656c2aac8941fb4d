"""Waiting for what runs in a cluster, and saying what holds it up."""

import pytest
from fakes import limited

from isthmus.adapters import readiness
from isthmus.errors import NotReady

NEW = {"observedGeneration": 2, "updatedReplicas": 1, "availableReplicas": 1, "replicas": 1}


def deployment(status, generation=2, replicas=1):
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "istiod", "namespace": "s", "generation": generation},
        "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": "istiod"}}},
        "status": status,
    }


def pod(name="istiod-1", ready="True", **more):
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "s", "labels": {"app": "istiod"}},
        "status": {"conditions": [{"type": "Ready", "status": ready}], **more},
    }


@pytest.mark.parametrize(
    ("status", "whole"),
    [
        (NEW, True),
        ({}, False),
        ({**NEW, "observedGeneration": 1}, False),
        ({**NEW, "updatedReplicas": 0}, False),
        ({**NEW, "availableReplicas": 0}, False),
        ({**NEW, "replicas": 2}, False),
    ],
)
def test_a_deployment_is_there_when_only_the_newest_version_runs(status, whole):
    assert readiness.is_rolled_out(deployment(status)) is whole


def test_a_deployment_that_runs_is_not_waited_for(cluster):
    client = cluster()
    client.put(deployment(NEW))
    with limited(deployment=0):
        readiness.await_deployment(client, "istiod", "s")


def complaint(cluster, *objects):
    client = cluster()
    for manifest in objects:
        client.put(manifest)
    with limited(deployment=0), pytest.raises(NotReady) as caught:
        readiness.await_deployment(client, "istiod", "s")
    assert caught.value.cluster == "beijing"
    return str(caught.value)


def test_a_deployment_that_is_not_there_is_told(cluster):
    assert "Deployment s/istiod to become available; last seen: it does not" in complaint(cluster)


def test_what_its_pods_wait_for_is_told(cluster):
    waits = {"reason": "ImagePullBackOff", "message": "no such image"}
    status = [{"name": "discovery", "state": {"waiting": waits}}]
    said = complaint(cluster, deployment({}), pod(ready="False", containerStatuses=status))
    assert "discovery: ImagePullBackOff no such image" in said


def test_why_its_pods_get_no_node_is_told(cluster):
    unplaced = {"type": "PodScheduled", "status": "False", "message": "0/1 nodes: Insufficient cpu"}
    waiting = pod()
    waiting["status"]["conditions"] = [unplaced]
    assert "Insufficient cpu" in complaint(cluster, deployment({}), waiting)


def test_why_it_can_make_no_pods_is_told(cluster):
    failing = {"type": "ReplicaFailure", "status": "True", "message": "webhook refused"}
    assert "webhook refused" in complaint(cluster, deployment({"conditions": [failing]}))


def test_a_condition_without_words_is_no_bug(cluster):
    silent = {"type": "Available", "status": "False", "reason": "MinimumReplicasUnavailable"}
    assert "Deployment s/istiod" in complaint(cluster, deployment({"conditions": [silent]}))


def test_a_warning_about_it_is_told_and_others_are_not(cluster):
    def event(name, of, kind):
        return {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": name, "namespace": "s"},
            "type": kind,
            "reason": "FailedMount",
            "message": f"{kind} of {of}",
            "involvedObject": {"name": of},
        }

    said = complaint(
        cluster,
        deployment({}),
        event("a", "istiod-1", "Warning"),
        event("b", "istiod-1", "Normal"),
        event("c", "sleep-1", "Warning"),
    )
    assert "FailedMount: Warning of istiod-1" in said
    assert "Normal" not in said and "sleep" not in said


@pytest.mark.parametrize(
    ("ingress", "address"),
    [([{"ip": "198.18.0.3"}], "198.18.0.3"), ([{"hostname": "lb.example"}], "lb.example")],
)
def test_a_service_is_reached_at_its_load_balancers_address(cluster, ingress, address):
    client = cluster()
    client.put(service({"loadBalancer": {"ingress": ingress}}))
    assert readiness.await_address(client, "gateway", "s") == address


def service(status):
    meta = {"name": "gateway", "namespace": "s"}
    return {"apiVersion": "v1", "kind": "Service", "metadata": meta, "status": status}


@pytest.mark.parametrize("status", [{}, {"loadBalancer": {}}, {"loadBalancer": {"ingress": [{}]}}])
def test_no_load_balancer_is_asked_about(cluster, status):
    client = cluster()
    client.put(service(status))
    with limited(load_balancer=0), pytest.raises(NotReady, match="to get an EXTERNAL-IP"):
        readiness.await_address(client, "gateway", "s")


def test_only_pods_that_are_ready_and_stay_are_running(cluster):
    client = cluster()
    ending = pod("ending")
    ending["metadata"]["deletionTimestamp"] = "now"
    for manifest in (ending, pod("unready", ready="False"), pod("good")):
        client.put(manifest)
    [found] = readiness.running_pods(client, "s", "app=istiod")
    assert found["metadata"]["name"] == "good"
    assert readiness.running_pods(client, "s", "app=other") == []


def test_a_kind_that_is_defined_is_waited_for_until_it_is_served(cluster, monkeypatch):
    client = cluster()
    readiness.await_served(client, "networking.istio.io/v1", ["Gateway"], timeout=0)
    with pytest.raises(NotReady, match="kind Sidecar of networking"):
        readiness.await_served(client, "networking.istio.io/v1", ["Gateway", "Sidecar"], timeout=0)


def test_a_kind_that_was_deleted_since_it_was_asked_for_is_waited_for_too(cluster):
    client = cluster()
    readiness.await_served(client, "networking.istio.io/v1", ["Gateway"], timeout=0)
    client.served["networking.istio.io/v1"].remove("Gateway")
    with pytest.raises(NotReady, match="kind Gateway of networking"):
        readiness.await_served(client, "networking.istio.io/v1", ["Gateway"], timeout=0)


def test_a_kind_that_discovery_still_names_is_waited_for_until_its_objects_are_served(
    cluster, monkeypatch
):
    client, answers = cluster(), [None, {"items": []}]
    ask = client.request
    listing = "/apis/networking.istio.io/v1/gateways?limit=1"
    monkeypatch.setattr(
        client,
        "request",
        lambda verb, path, *more: answers.pop(0) if path == listing else ask(verb, path, *more),
    )
    readiness.await_served(client, "networking.istio.io/v1", ["Gateway"], timeout=10)
    assert answers == []


def balanced(*ingress):
    meta = {"name": "gateway", "namespace": "s"}
    status = {"loadBalancer": {"ingress": list(ingress)}}
    return {"apiVersion": "v1", "kind": "Service", "metadata": meta, "status": status}


def test_every_address_of_a_load_balancer_is_a_way_in(cluster):
    client = cluster()
    client.put(balanced({"ip": "198.18.0.4"}, {"ip": "198.18.0.3"}, {"hostname": "localhost"}))
    found = readiness.current_addresses(client, "gateway", "s")
    assert found == ["127.0.0.1", "198.18.0.3", "198.18.0.4"]
    assert readiness.current_address(client, "gateway", "s") == "198.18.0.4"


def test_a_host_name_without_an_address_is_named(cluster):
    client = cluster()
    client.put(balanced({"hostname": "gateway.invalid"}))
    with pytest.raises(NotReady, match=r"host name gateway\.invalid cannot be resolved here"):
        readiness.current_addresses(client, "gateway", "s")


def test_a_load_balancer_that_has_no_address_yet_has_none(cluster):
    client = cluster()
    assert readiness.current_addresses(client, "gateway", "s") == []
    client.put(balanced())
    assert readiness.current_addresses(client, "gateway", "s") == []
