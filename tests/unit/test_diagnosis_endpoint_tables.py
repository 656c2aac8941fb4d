"""Sidecars' endpoint tables against what the clusters have: F53."""

import copy

import pytest
from snapshot_objects import HELLOWORLD, thing
from snapshots import changed, edited, healthy, probed, with_kind, with_object

from isthmus.diagnosis.analyzers.endpoint_tables import table_differs
from isthmus.diagnosis.snapshot import ProxyEndpoint

TABLE = f"outbound|5000||{HELLOWORLD}"


def only(snapshot):
    [found] = table_differs.run(snapshot)
    return found


def tables(snapshot, name, change, apps=("sleep", "helloworld")):
    """Return a snapshot in which `change` has edited the tables of a cluster's sidecars."""
    proxies = [
        p.model_copy(update={"endpoints": {TABLE: change(list(p.endpoints[TABLE]))}})
        if p.app in apps
        else p
        for p in snapshot.cluster(name).proxies
    ]
    return changed(snapshot, name, proxies=proxies)


def without_gateway(table):
    return [endpoint for endpoint in table if not endpoint.address.startswith("198.18.")]


def without_pods(table):
    return [endpoint for endpoint in table if endpoint.address.startswith("198.18.")]


def syncz(snapshot, change):
    """Return a snapshot in which `change` has edited what istiod says of the host's caller."""
    [istiod] = snapshot.host.istiods
    proxies = copy.deepcopy(istiod.proxies)
    for entry in proxies:
        if entry["cluster_id"] == "beijing" and entry["proxy"].startswith("sleep"):
            change(entry)
    return changed(snapshot, "beijing", istiods=[istiod.model_copy(update={"proxies": proxies})])


def rule(kind, **spec):
    return thing(kind, "mine", "sample", spec=spec)


@pytest.mark.parametrize("stack", ["istio-1.31", "guide"])
def test_every_table_of_a_healthy_mesh_is_whole(stack):
    assert table_differs.run(healthy(2, stack)) == []


def test_a_gateway_that_sidecars_do_not_list_is_named_with_who_lacks_it():
    found = only(tables(healthy(2), "beijing", without_gateway_of("198.18.2.200")))
    assert (found.id, found.clusters) == ("F53", ("beijing", "shanghai"))
    assert found.object == "Service sample/helloworld 198.18.2.200:15443"
    assert found.evidence[0] == (
        "beijing: sample/helloworld-7c-1, sample/sleep-5b-1 list no endpoint 198.18.2.200:15443 "
        f"for {HELLOWORLD}: the gateway of shanghai"
    )
    assert "either it knows another gateway address" in found.cause


def without_gateway_of(address):
    return lambda table: [endpoint for endpoint in table if endpoint.address != address]


def test_pods_of_the_own_network_that_sidecars_do_not_list_are_named():
    found = only(tables(healthy(), "beijing", without_pods))
    assert found.clusters == ("beijing",)
    assert "10.10.0.7:5000" in found.object
    assert found.evidence[0].endswith("ready pods of beijing")


def test_istiod_that_holds_nothing_of_a_cluster_is_the_cause():
    snapshot = tables(healthy(), "beijing", without_gateway)
    [istiod] = snapshot.host.istiods
    shards = {HELLOWORLD: {"sample": {"Kubernetes/beijing": ["10.10.0.7"]}}}
    made = istiod.model_copy(update={"endpoint_shards": shards})
    found = only(changed(snapshot, "beijing", istiods=[made]))
    assert found.cause.startswith("istiod holds no endpoint of shanghai")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda e: e.update(endpoint_acked="n-before"), "EDS STALE"),
        (lambda e: e.pop("endpoint_sent"), "EDS NOT SENT"),
        (lambda e: e.update(resources={"x": {"lastError": "bad TLS"}}), "refused an update: bad"),
    ],
)
def test_what_istiod_says_of_a_sidecars_updates_is_the_cause(change, said):
    snapshot = tables(healthy(), "beijing", without_gateway, ("sleep",))
    found = only(syncz(snapshot, change))
    assert said in found.cause
    assert found.certain
    assert found.fix == "kubectl --context beijing -n sample delete pod sleep-5b-1"


def test_a_sidecar_that_no_istiod_serves_is_told_even_if_its_table_is_whole():
    found = only(syncz(healthy(), lambda entry: entry.update(proxy="gone.sample")))
    assert found.clusters == ("beijing",)
    assert found.evidence[0] == "beijing: sample/sleep-5b-1 are in /debug/syncz of no replica"
    assert found.fix.endswith("logs sleep-5b-1 -c istio-proxy --tail=50")


def test_a_replica_that_did_not_answer_may_serve_any_sidecar():
    snapshot = syncz(healthy(), lambda entry: entry.update(proxy="gone.sample"))
    [istiod] = snapshot.host.istiods
    silent = istiod.model_copy(update={"pod": "istiod-2", "proxies": None})
    assert table_differs.run(changed(snapshot, "beijing", istiods=[istiod, silent])) == []
    assert table_differs.run(changed(snapshot, "beijing", istiods=[])) == []


@pytest.mark.parametrize(
    "rule",
    [
        rule(
            "DestinationRule",
            host=HELLOWORLD,
            trafficPolicy={"loadBalancer": {"localityLbSetting": {"enabled": True}}},
        ),
        rule("DestinationRule", host="helloworld", trafficPolicy={"tls": {"mode": "DISABLE"}}),
        rule("PeerAuthentication", mtls={"mode": "DISABLE"}),
        rule("PeerAuthentication", portLevelMtls={"5000": {"mode": "DISABLE"}}),
    ],
)
def test_rules_that_leave_endpoints_out_are_told_by_others(rule):
    snapshot = tables(healthy(), "beijing", without_gateway)
    assert table_differs.run(with_object(snapshot, "beijing", rule)) == []


def test_a_rule_that_leaves_nothing_out_explains_nothing():
    snapshot = tables(healthy(), "beijing", without_gateway)
    mutual = rule(
        "DestinationRule", host="*.local", trafficPolicy={"tls": {"mode": "ISTIO_MUTUAL"}}
    )
    assert len(table_differs.run(with_object(snapshot, "beijing", mutual))) == 1


def test_pods_without_a_sidecar_are_no_reason_to_list_their_gateway():
    snapshot = tables(healthy(), "beijing", without_gateway)
    bare = edited(
        snapshot,
        "shanghai",
        "Pod",
        "helloworld-7c-1",
        lambda pod: pod["metadata"]["labels"].pop("security.istio.io/tlsMode"),
    )
    assert table_differs.run(bare) == []


def test_pods_that_became_ready_just_now_are_not_missed_yet():
    def just_now(item):
        for condition in item["status"]["conditions"]:
            condition["lastTransitionTime"] = "2026-09-21T14:13:10Z"

    snapshot = tables(healthy(), "beijing", without_gateway)
    assert table_differs.run(edited(snapshot, "shanghai", "Pod", "helloworld-7c-1", just_now)) == []


def test_a_gateway_with_a_host_name_or_of_another_family_is_not_missed():
    def ingress(value):
        def change(item):
            item["status"]["loadBalancer"]["ingress"] = [value]

        return change

    for value in ({"hostname": "lb.example.com"}, {"ip": "2001:db8::7"}):
        snapshot = tables(healthy(), "beijing", without_gateway)
        name = "istio-eastwestgateway"
        assert (
            table_differs.run(edited(snapshot, "shanghai", "Service", name, ingress(value))) == []
        )


@pytest.mark.parametrize("kind", ["Pod", "Service", "EndpointSlice"])
def test_what_was_not_listed_is_no_news(kind):
    snapshot = tables(healthy(), "beijing", without_gateway)
    assert table_differs.run(with_kind(snapshot, "shanghai", kind, None)) == []


# Endpoints that never took a connection


def never_connected(table):
    return [
        e.model_copy(update={"requests": 9, "successes": 0, "errors": 9, "connect_failures": 9})
        if e.address == "198.18.2.200"
        else e
        for e in table
    ]


def test_an_endpoint_to_which_no_connection_ever_came_about_is_counted():
    snapshot = tables(healthy(), "beijing", never_connected)
    assert table_differs.run(snapshot) == []  # it was reached just now
    closed = probed(
        snapshot,
        lambda p: p.purpose == "gateway" and p.target == "shanghai",
        connected=False,
        error="timed out",
        error_at="tcp",
    )
    found = only(closed)
    assert found.clusters == ("beijing", "shanghai")
    assert found.object == "endpoint 198.18.2.200:15443"
    assert "18 connections failed, none was made" in found.evidence[0]
    assert found.fix.endswith("telnet://198.18.2.200:15443")


def test_an_address_that_nobody_has_is_told_as_that():
    def stray(table):
        never = {"requests": 3, "errors": 3, "connect_failures": 3}
        return [*table, ProxyEndpoint(address="198.18.0.250", port=5000, **never)]

    assert table_differs.run(tables(healthy(), "beijing", stray)) == []


def test_an_endpoint_that_fails_at_times_is_none_that_never_answers():
    def at_times(table):
        return [e.model_copy(update={"connect_failures": 3}) for e in table]

    snapshot = tables(healthy(), "beijing", at_times)
    assert table_differs.run(snapshot.model_copy(update={"probes": []})) == []


def test_an_endpoint_of_no_service_is_not_looked_at():
    stray = ProxyEndpoint(address="192.0.2.1", port=80, requests=1, connect_failures=1)
    proxies = [
        p.model_copy(update={"endpoints": {**p.endpoints, "outbound|80|v1|x.example.com": [stray]}})
        for p in healthy().host.proxies
    ]
    assert table_differs.run(changed(healthy(), "beijing", proxies=proxies)) == []
