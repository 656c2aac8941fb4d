"""Reading KubeFed: a member is Ready, an object has arrived, or why not."""

import pytest
from fakes import limited
from world import environment

from isthmus.adapters import kube, kubefed
from isthmus.adapters.diff import ENVIRONMENT_LABEL
from isthmus.environment.namespaces import KUBEFED_NAMESPACE
from isthmus.errors import NotReady
from tasks.federation import propagate


def live(generation=2, observed=2, propagated="True", **clusters):
    status = {
        "observedGeneration": observed,
        "conditions": [{"type": "Propagation", "status": propagated, "reason": "CheckClusters"}],
        "clusters": [{"name": n, **({"status": s} if s else {})} for n, s in clusters.items()],
    }
    meta = {"name": "cacerts", "namespace": "istio-system", "generation": generation}
    return {
        "apiVersion": kubefed.TYPES_API,
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
    assert kubefed.reached(found) == clusters


def secret(**meta):
    meta = {"name": "cacerts", "namespace": "istio-system", **meta}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": meta}


@pytest.fixture
def members(cluster):
    """Two members that have the Secret."""
    made = {name: cluster(name) for name in ("beijing", "xian")}
    for member in made.values():
        member.put(secret())
    return made


def test_what_has_arrived_is_not_waited_for(cluster, members):
    host = cluster()
    host.put(live(beijing="", xian=""))
    kubefed.await_propagated(host, live(), members)
    assert kubefed.missing_in_members(live(), members) == []


def test_what_does_not_arrive_is_told_with_kubefeds_word_for_it(cluster, members):
    host = cluster()
    host.put(live(beijing="", xian="ClusterNotReady"))
    with limited(federation=0), pytest.raises(NotReady) as caught:
        kubefed.await_propagated(host, live(), members)
    assert "FederatedSecret istio-system/cacerts to be propagated to beijing, xian" in str(
        caught.value
    )
    assert "xian: ClusterNotReady" in str(caught.value)


def test_what_was_lost_in_a_member_is_waited_for_though_kubefed_has_not_seen_it(cluster, members):
    host = cluster()
    host.put(live(beijing="", xian=""))
    members["xian"].store.clear()
    assert kubefed.missing_in_members(live(), members) == ["Secret istio-system/cacerts in xian"]
    with limited(federation=0), pytest.raises(NotReady, match="last seen: xian: not found"):
        kubefed.await_propagated(host, live(), members)


def test_what_is_ending_in_a_member_is_waited_for_as_long_as_a_deletion_may_take(cluster, members):
    host = cluster()
    host.put(live(beijing="", xian=""))
    members["xian"].put(secret(deletionTimestamp="now", finalizers=["example.com/hold"]))
    assert kubefed.missing_in_members(live(), members) == ["Secret istio-system/cacerts in xian"]
    said = r"after 0 s .*; last seen: xian: still terminating \(finalizer example.com/hold\)"
    with limited(deletion=0), pytest.raises(NotReady, match=said):
        kubefed.await_propagated(host, live(), members)


def member(status):
    return {
        "apiVersion": kubefed.CORE_API,
        "kind": "KubeFedCluster",
        "metadata": {"name": "xian", "namespace": KUBEFED_NAMESPACE},
        "status": {"conditions": [{"type": "Ready", "status": status, "reason": "ClusterReady"}]},
    }


def test_a_member_is_ready_when_its_health_check_passes(cluster):
    host = cluster()
    assert not kubefed.member_is_ready(host, "xian")
    host.put(member("False"))
    assert not kubefed.member_is_ready(host, "xian")
    host.put(member("True"))
    assert kubefed.member_is_ready(host, "xian")


def test_a_member_that_does_not_become_ready_is_told_as_itself(cluster):
    host = cluster()
    host.put(member("False"))
    said = r"xian: timed out .* KubeFedCluster xian .* Ready=False ClusterReady"
    with limited(federation=0), pytest.raises(NotReady, match=said):
        kubefed.await_member(host, "xian")


def test_a_step_says_what_it_made_anew_in_a_member(cluster, members, monkeypatch):
    clusters = {"lisbon": cluster("lisbon"), **members}
    monkeypatch.setattr(kube, "connect", lambda access: clusters[access.cluster])
    federated_secret = live(beijing="", xian="")
    federated_secret["metadata"]["labels"] = {ENVIRONMENT_LABEL: "pair"}
    clusters["lisbon"].put(federated_secret)
    seen = [None, None]
    monkeypatch.setattr(members["xian"], "get", lambda *what: seen.pop() if seen else secret())
    accesses = [member.access for member in members.values()]
    made = propagate(environment(), clusters["lisbon"].access, live(), accesses)
    assert made == ["Secret istio-system/cacerts in xian"]
    assert propagate(environment(), clusters["lisbon"].access, live(), accesses) == []
