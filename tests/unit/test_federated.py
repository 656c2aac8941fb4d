"""Reading KubeFed: a member is Ready, an object has arrived, or why not."""

import pytest
from fakes import limited

from isthmus.adapters import federated
from isthmus.errors import NotReady


def live(generation=2, observed=2, propagated="True", **clusters):
    status = {
        "observedGeneration": observed,
        "conditions": [{"type": "Propagation", "status": propagated, "reason": "CheckClusters"}],
        "clusters": [{"name": n, **({"status": s} if s else {})} for n, s in clusters.items()],
    }
    meta = {"name": "cacerts", "namespace": "istio-system", "generation": generation}
    return {
        "apiVersion": federated.TYPES,
        "kind": "FederatedSecret",
        "metadata": meta,
        "status": status,
    }


@pytest.mark.parametrize(
    ("found", "clusters"),
    [
        (live(beijing="", xian=""), {"beijing", "xian"}),
        (live(beijing="", xian="CreationFailed"), {"beijing"}),
        (live(observed=1, beijing=""), set()),
        (live(propagated="False", beijing=""), set()),
        ({}, set()),
        ({"metadata": {"generation": 1}}, set()),
    ],
)
def test_an_object_is_where_its_present_generation_is(found, clusters):
    assert federated.reached(found) == clusters


def test_what_has_arrived_is_not_waited_for(cluster):
    host = cluster()
    host.put(live(beijing="", xian=""))
    federated.await_propagated(host, live(), ["beijing", "xian"])


def test_what_does_not_arrive_is_told_with_kubefeds_word_for_it(cluster):
    host = cluster()
    host.put(live(beijing="", xian="ClusterNotReady"))
    with limited(federation=0), pytest.raises(NotReady) as caught:
        federated.await_propagated(host, live(), ["beijing", "xian"])
    assert "FederatedSecret istio-system/cacerts in beijing, xian" in str(caught.value)
    assert "xian: ClusterNotReady" in str(caught.value)


def member(status):
    return {
        "apiVersion": federated.CORE,
        "kind": "KubeFedCluster",
        "metadata": {"name": "xian", "namespace": federated.NAMESPACE},
        "status": {"conditions": [{"type": "Ready", "status": status, "reason": "ClusterReady"}]},
    }


def test_a_member_is_ready_when_its_health_check_passes(cluster):
    host = cluster()
    assert not federated.member_is_ready(host, "xian")
    host.put(member("False"))
    assert not federated.member_is_ready(host, "xian")
    host.put(member("True"))
    assert federated.member_is_ready(host, "xian")


def test_a_member_that_does_not_become_ready_is_told_as_itself(cluster):
    host = cluster()
    host.put(member("False"))
    said = r"xian: KubeFedCluster xian .* Ready=False ClusterReady"
    with limited(federation=0), pytest.raises(NotReady, match=said):
        federated.await_member(host, "xian")
