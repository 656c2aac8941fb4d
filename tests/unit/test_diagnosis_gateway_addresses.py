"""Ways to gateways that are shut, dead, or answered by something else: F14, F39, F15, F13, F40."""

import pytest
from snapshots import certificate as made_certificate
from snapshots import changed, edited, healthy, probed, with_kind, without

from isthmus.diagnosis.analyzers.gateway_addresses import one_address_dead, unreachable
from isthmus.diagnosis.analyzers.gateway_hostnames import name_leads_elsewhere, only_a_name
from isthmus.diagnosis.analyzers.gateway_tls import answered_by_another
from isthmus.diagnosis.snapshot import ProxyEndpoint

TIMED_OUT = "Connection timed out after 3001 milliseconds"
REFUSED = "Failed to connect to 198.18.2.200 port 15443: Connection refused"
CHECKS = [unreachable, one_address_dead, answered_by_another, only_a_name, name_leads_elsewhere]
GATEWAY = "istio-eastwestgateway"


def only(check, snapshot):
    [found] = check.run(snapshot)
    return found


def ways(*pairs):
    return lambda p: p.purpose == "gateway" and (p.source, p.target) in pairs


def to(target):
    return lambda p: p.purpose == "gateway" and p.target == target


def closed(snapshot, match, error=TIMED_OUT):
    return probed(
        snapshot, match, connected=False, error=error, error_at="tcp", certificates=(), seconds=3.0
    )


def unshaken(snapshot, match, error):
    return probed(snapshot, match, error=error, error_at="tls", certificates=())


@pytest.mark.parametrize("stack", ["istio-1.31", "guide"])
@pytest.mark.parametrize("check", CHECKS)
def test_the_ways_of_a_healthy_mesh_are_open(stack, check):
    assert check.run(healthy(2, stack)) == []


@pytest.mark.parametrize("check", CHECKS)
def test_what_was_not_tried_is_no_news(check):
    snapshot = healthy(2)
    assert check.run(snapshot.model_copy(update={"probes": []})) == []
    assert check.run(probed(snapshot, lambda p: True, skipped="no curl", connected=False)) == []


# F14


def test_the_only_way_between_two_clusters_is_named_with_what_came_back():
    found = only(unreachable, closed(healthy(), ways(("beijing", "shanghai"))))
    assert (found.id, found.clusters) == ("F14", ("beijing", "shanghai"))
    assert found.object == "198.18.2.200:15443"
    assert found.evidence[0] == (
        f"beijing (sample/sleep-5b-1) -> shanghai 198.18.2.200:15443: {TIMED_OUT} (3.0 s)"
    )
    assert "either a firewall or security group at shanghai" in found.cause
    assert not found.certain
    assert found.fix.splitlines() == [
        "# let TCP 15443 through from beijing to shanghai, then try again:",
        "kubectl --context beijing -n sample exec sleep-5b-1 -c istio-proxy -- "
        "curl -sv --connect-timeout 5 -m 6 telnet://198.18.2.200:15443",
    ]


def test_a_gateway_that_nobody_reaches_is_at_fault_itself():
    found = only(unreachable, closed(healthy(2), to("shanghai")))
    assert found.clusters == ("shanghai",)
    assert [line.partition(" (")[0] for line in found.evidence[:2]] == ["beijing", "region3"]


def test_a_cluster_that_reaches_no_gateway_has_an_egress_of_its_own_to_blame():
    match = ways(("shanghai", "beijing"), ("shanghai", "region3"))
    found = only(unreachable, closed(healthy(2), match))
    assert found.clusters == ("shanghai",)
    assert "shanghai's own side" in found.cause


def test_one_pair_of_three_clusters_is_what_lies_between():
    found = only(unreachable, closed(healthy(2), ways(("shanghai", "region3"))))
    assert found.clusters == ("shanghai", "region3")
    assert found.cause.startswith("others reach region3")


def test_a_mesh_in_which_no_way_is_open_is_told_target_by_target():
    found = unreachable.run(closed(healthy(2), lambda p: p.purpose == "gateway"))
    assert [f.clusters for f in found] == [("shanghai",), ("region3",), ("beijing",)]


def test_a_refusal_is_told_from_silence():
    found = only(unreachable, closed(healthy(), to("shanghai"), REFUSED))
    assert "nobody listens there" in found.cause
    assert found.fix.startswith("kubectl --context shanghai -n istio-system describe service")


def test_a_missing_route_is_told_from_silence():
    found = only(unreachable, closed(healthy(), to("shanghai"), "No route to host"))
    assert "no route from beijing" in found.cause


def test_an_address_of_a_private_range_is_said_to_be_one():
    found = only(unreachable, closed(healthy(), to("shanghai")))
    assert found.evidence[-1] == "no public address: 198.18.2.200"


def test_an_ipv6_address_is_not_missed_by_clusters_that_have_none():
    snapshot = second_address(healthy(), "2001:db8::1", connected=False, error="No route to host")
    assert unreachable.run(snapshot) == []
    assert one_address_dead.run(snapshot) == []


# F39


def second_address(snapshot, host, sources=("beijing", "region3"), **fields):
    """Return a snapshot in which shanghai's gateway has one address more."""
    found = [p for p in snapshot.probes if to("shanghai")(p)]
    more = [
        p.model_copy(update={"host": host, **(fields if p.source in sources else {})})
        for p in found
    ]
    return snapshot.model_copy(update={"probes": [*snapshot.probes, *more]})


DEAD = {"connected": False, "error": TIMED_OUT, "error_at": "tcp", "certificates": ()}


def test_one_dead_address_of_two_is_named_beside_the_one_that_works():
    found = only(one_address_dead, second_address(healthy(), "198.18.2.201", **DEAD))
    assert (found.id, found.clusters) == ("F39", ("shanghai",))
    assert found.object == f"Service istio-system/{GATEWAY} 198.18.2.201"
    assert "198.18.2.201:15443" in found.evidence[0]
    assert found.evidence[-1] == "works: 198.18.2.200:15443"
    assert "describe service istio-eastwestgateway" in found.fix
    assert unreachable.run(second_address(healthy(), "198.18.2.201", **DEAD)) == []


def test_an_address_that_is_dead_for_one_cluster_alone_is_between_them():
    snapshot = second_address(healthy(2), "198.18.2.201", ("beijing",), **DEAD)
    assert only(one_address_dead, snapshot).cause.startswith("198.18.2.201 is reached from region3")


def test_two_addresses_that_are_both_dead_are_a_gateway_that_is_not_reached():
    snapshot = closed(second_address(healthy(), "198.18.2.201"), to("shanghai"))
    assert one_address_dead.run(snapshot) == []
    assert "198.18.2.200:15443, 198.18.2.201:15443" == only(unreachable, snapshot).object


# F15


def test_a_load_balancer_that_ends_tls_is_known_by_its_certificate():
    chain = (made_certificate("CN=*.example.com", sans=("*.example.com",)),)
    match = to("shanghai")
    found = only(
        answered_by_another,
        probed(healthy(), match, certificates=chain, wants_client_certificate=False),
    )
    assert (found.id, found.clusters) == ("F15", ("beijing", "shanghai"))
    assert "it presents CN=*.example.com" in found.evidence[1]
    assert found.evidence[2] == "it asks for no certificate of the client"
    assert "shanghai's load balancer ends TLS itself" in found.cause
    assert "plain TCP (layer 4)" in found.fix


def test_a_firewall_that_inspects_tls_is_on_the_side_of_the_one_that_meets_it():
    chain = (made_certificate("CN=inspection", sans=("anything",)),)
    snapshot = probed(healthy(2), ways(("region3", "shanghai")), certificates=chain)
    found = only(answered_by_another, snapshot)
    assert found.clusters == ("region3", "shanghai")
    assert "on region3's side" in found.cause


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        ("wrong version number", "speaks no TLS"),
        ("no answer to the TLS ClientHello", "no healthy backend"),
        ("the connection was closed during the handshake", "no filter chain of the gateway"),
    ],
)
def test_tls_that_does_not_come_about_is_told_by_what_came_back(error, cause):
    found = only(answered_by_another, unshaken(healthy(), to("shanghai"), error))
    assert error in found.evidence[0]
    assert "SNI outbound_.5000_._.helloworld.sample.svc.cluster.local" in found.evidence[0]
    assert cause in found.cause
    assert not found.certain


def test_a_gateway_with_no_pod_behind_it_rightly_closes_the_connection():
    snapshot = unshaken(healthy(), to("shanghai"), "the connection was closed")
    snapshot = with_kind(snapshot, "shanghai", "Pod", [])
    assert answered_by_another.run(snapshot) == []


def test_another_root_of_a_mesh_is_not_another_server():
    leaf = made_certificate("", sans=("spiffe://other/ns/sample/sa/default",))
    assert answered_by_another.run(probed(healthy(), to("shanghai"), certificates=(leaf,))) == []


# F13, F40


def named(snapshot, name="shanghai", host="lb.example.com"):
    """Return a snapshot in which a gateway's load balancer has a host name."""

    def change(item):
        item["status"] = {"loadBalancer": {"ingress": [{"hostname": host}]}}

    service = "istio-ingressgateway" if snapshot.environment["stack"] == "guide" else GATEWAY
    changed_name = edited(snapshot, name, "Service", service, change)
    return probed(changed_name, to(name), host=host, resolved=("198.18.2.200",))


def networks(snapshot, *found):
    [istiod] = snapshot.host.istiods
    made = [{"Network": n, "Addr": a, "Port": 15443} for n, a in found]
    return changed(snapshot, "beijing", istiods=[istiod.model_copy(update={"networks": made})])


def test_istio_1_7_takes_no_host_name():
    found = only(only_a_name, named(healthy(1, "guide")))
    assert (found.id, found.clusters) == ("F13", ("shanghai",))
    assert found.evidence[0].endswith("istio-ingressgateway has lb.example.com")
    assert found.fix.endswith("isthmus up pair")


def test_a_host_name_that_leads_to_the_gateway_is_as_good_as_an_address():
    for check in CHECKS:
        assert check.run(named(healthy(2))) == []


def test_a_host_name_that_the_host_cannot_resolve_is_where_nobody_is_sent():
    snapshot = probed(
        named(healthy()),
        to("shanghai"),
        connected=False,
        resolved=(),
        error="Could not resolve host: lb.example.com",
        error_at="name",
        certificates=(),
    )
    found = only(name_leads_elsewhere, snapshot)
    assert (found.id, found.clusters) == ("F40", ("beijing", "shanghai"))
    assert "Could not resolve host" in found.evidence[0]
    assert "no proxy is sent to shanghai's gateway" in found.cause
    assert "getent hosts lb.example.com" in found.fix
    assert unreachable.run(snapshot) == []


def test_a_host_name_that_nobody_resolves_is_its_own_clusters_fault():
    snapshot = probed(
        named(healthy(2)), to("shanghai"), connected=False, error_at="name", error="no such host"
    )
    found = only(name_leads_elsewhere, snapshot)
    assert found.clusters == ("shanghai",)
    assert "the DNS of beijing, region3 gives no address" in found.cause


def test_a_name_that_istiod_alone_cannot_resolve_is_seen_in_what_it_knows():
    snapshot = networks(named(healthy()), ("network1", "198.18.1.200"))
    found = only(name_leads_elsewhere, snapshot)
    assert "istiod knows no gateway of network2, only the name" in found.evidence[0]


def test_another_remote_that_cannot_resolve_a_name_is_sent_to_addresses_all_the_same():
    snapshot = probed(
        named(healthy(2)), ways(("region3", "shanghai")), error_at="name", error="no", resolved=()
    )
    assert name_leads_elsewhere.run(snapshot) == []


def test_addresses_that_the_name_has_no_longer_are_told():
    old = networks(named(healthy()), ("network1", "198.18.1.200"), ("network2", "198.18.2.99"))
    found = only(name_leads_elsewhere, old)
    assert found.severity == "warning"
    assert found.evidence[0] == "beijing: istiod sends proxies to 198.18.2.99 for network2"
    assert found.evidence[1] == "beijing: lb.example.com is 198.18.2.200"
    failing = ProxyEndpoint(
        address="198.18.2.99", port=15443, requests=3, errors=3, connect_failures=3
    )
    proxies = [
        p.model_copy(update={"endpoints": {"outbound|5000||x": [failing]}})
        for p in old.host.proxies
    ]
    assert only(name_leads_elsewhere, changed(old, "beijing", proxies=proxies)).severity == "error"


def test_some_of_a_names_many_addresses_are_enough():
    snapshot = networks(
        named(healthy()),
        ("network1", "198.18.1.200"),
        ("network2", "198.18.2.99"),
        ("network2", "198.18.2.200"),
    )
    assert name_leads_elsewhere.run(snapshot) == []


def test_a_gateway_that_was_deleted_is_asked_for_no_name():
    assert name_leads_elsewhere.run(without(healthy(), "shanghai", "Service", GATEWAY)) == []
