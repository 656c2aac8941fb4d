"""Gateway and VirtualService objects that let nobody in: F47."""

import pytest
from snapshot_objects import thing
from snapshots import changed, edited, healthy, with_kind, with_object, without

from isthmus.diagnosis.analyzers.gateway_rules import not_served

CROSS = "cross-network-gateway"
POD = "istio-eastwestgateway-6d-1"


def only(snapshot):
    [found] = not_served.run(snapshot)
    return found


def cross(change, snapshot=None):
    return edited(snapshot or healthy(), "beijing", "Gateway", CROSS, change)


def first_server(**fields):
    return lambda item: item["spec"]["servers"][0].update(fields)


def gateway(name, labels, server, made="2026-09-21T12:00:00Z", namespace="edge"):
    item = thing("Gateway", name, namespace, spec={"selector": labels, "servers": [server]})
    item["metadata"]["creationTimestamp"] = made
    return item


def server(number=15443, mode="AUTO_PASSTHROUGH", host="*.local", protocol="TLS"):
    tls = {"tls": {"mode": mode}} if mode else {}
    port = {"name": "any", "number": number, "protocol": protocol}
    return {"port": port, "hosts": [host], **tls}


@pytest.mark.parametrize("stack", ["istio-1.31", "guide"])
def test_a_healthy_mesh_lets_everybody_in(stack):
    assert not_served.run(healthy(2, stack)) == []


def test_istio_1_7s_own_objects_for_istiod_are_enough():
    snapshot = healthy(1, "guide")
    tcp = server(15012, "", "*", "TCP")
    labels = {"istio": "ingressgateway"}
    route = {
        "match": [{"port": 15012}],
        "route": [{"destination": {"host": "istiod.istio-system.svc.cluster.local"}}],
    }
    spec = {"hosts": ["*"], "gateways": ["meshexpansion-gateway"], "tcp": [route]}
    rule = thing("VirtualService", "meshexpansion-vs-istiod", "istio-system", spec=spec)
    guide = gateway("meshexpansion-gateway", labels, tcp, namespace="istio-system")
    own = gateway("cluster-aware-gateway", labels, server(443), namespace="istio-system")
    snapshot = with_kind(snapshot, "beijing", "Gateway", [guide, own])
    assert not_served.run(with_kind(snapshot, "beijing", "VirtualService", [rule])) == []


def test_a_gateway_object_that_is_missing_is_missing_for_all_gateways():
    found = only(without(healthy(2), "beijing", "Gateway", CROSS))
    assert (found.id, found.clusters) == ("F47", ("beijing",))
    assert found.object == "Gateway istio-system/cross-network-gateway"
    assert found.evidence == (
        "beijing: there is no Gateway istio-system/cross-network-gateway, nor another like it",
    )
    assert found.cause.startswith("every gateway lacks a server for port 15443")
    assert found.fix == "isthmus up pair"


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"port": {"name": "tls", "number": 443, "protocol": "TLS"}}, "serves port 443"),
        ({"tls": {"mode": "PASSTHROUGH"}}, "has TLS mode PASSTHROUGH"),
        ({"tls": {}}, "has TLS mode SIMPLE"),
        ({"hosts": ["*.example.com"]}, "has the hosts *.example.com, which do not cover"),
        ({"hosts": []}, "has the hosts none"),
    ],
)
def test_a_gateway_object_that_serves_something_else_is_told_in_what(fields, told):
    found = only(cross(first_server(**fields)))
    assert told in found.evidence[0]
    assert found.fix == "isthmus up pair"


@pytest.mark.parametrize("host", ["*", "*.local", "./*.local", "*/*.svc.cluster.local"])
def test_other_ways_to_write_its_hosts_are_right(host):
    assert not_served.run(cross(first_server(hosts=[host]))) == []


def test_a_selector_that_matches_no_gateway_pod_is_shown_beside_the_pods_labels():
    found = only(cross(lambda g: g["spec"].update(selector={"istio": "other"})))
    assert found.evidence[0].endswith(
        "selects istio=other, and the gateway's pods have istio=eastwestgateway"
    )


def test_pods_of_one_cluster_that_the_selector_misses_are_that_clusters_own_fault():
    def relabel(item):
        item["spec"]["selector"]["app"] = "istio-eastwestgateway"

    snapshot = edited(
        cross(relabel, healthy(2)),
        "region3",
        "Pod",
        POD,
        lambda pod: pod["metadata"]["labels"].update(app="edge"),
    )
    found = only(snapshot)
    assert found.clusters == ("region3",)
    assert found.cause.startswith("region3's gateway lacks")


def test_a_gateway_without_a_pod_is_judged_by_its_deployment():
    def change(item):
        labels = item["spec"]["template"]["metadata"]["labels"]
        item["spec"]["template"]["metadata"]["labels"] = {**labels, "istio": "other"}

    snapshot = without(healthy(), "shanghai", "Pod", POD)
    assert not_served.run(snapshot) == []
    found = only(edited(snapshot, "shanghai", "Deployment", "istio-eastwestgateway", change))
    assert found.clusters == ("shanghai",)


def test_a_gateway_object_by_another_name_serves_as_well():
    made = gateway("mine", {"istio": "eastwestgateway"}, server())
    snapshot = without(healthy(), "beijing", "Gateway", CROSS)
    assert not_served.run(with_object(snapshot, "beijing", made)) == []


def test_somebodys_gateway_for_something_else_is_not_blamed():
    made = gateway("shop", {"istio": "eastwestgateway"}, server(8443, "SIMPLE", "shop.example.com"))
    assert not_served.run(with_object(healthy(), "beijing", made)) == []
    found = only(with_object(without(healthy(), "beijing", "Gateway", CROSS), "beijing", made))
    assert found.fix == "isthmus up pair"


@pytest.mark.parametrize(
    "other", [server(mode="", protocol="HTTP", host="*"), server(mode="PASSTHROUGH")]
)
def test_an_older_gateway_that_takes_the_port_is_named(other):
    labels = {"istio": "eastwestgateway"}
    older = gateway("shop", labels, other, made="2026-09-01T00:00:00Z")
    found = only(with_object(healthy(), "beijing", older))
    assert found.object == "Gateway edge/shop"
    assert "is older, and is served in place of" in found.evidence[0]
    assert "-n edge edit gateways.networking.istio.io shop" in found.fix
    younger = gateway("shop", labels, other)
    assert not_served.run(with_object(healthy(), "beijing", younger)) == []


def test_kubernetes_own_gateways_are_no_istio_gateways():
    made = gateway("shop", {}, server()) | {"apiVersion": "gateway.networking.k8s.io/v1"}
    snapshot = without(healthy(), "beijing", "Gateway", CROSS)
    assert len(not_served.run(with_object(snapshot, "beijing", made))) == 1


def test_what_lets_remotes_to_istiod_is_missed_port_by_port():
    found = not_served.run(without(healthy(), "beijing", "Gateway", "istiod-gateway"))
    assert [f.object for f in found] == [
        "Gateway of istiod's port 15012",
        "Gateway of istiod's port 15017",
    ]
    assert {f.clusters for f in found} == {("beijing",)}
    assert {f.fix for f in found} == {"isthmus up pair"}


def test_a_virtual_service_that_is_missing_is_named():
    found = not_served.run(without(healthy(), "beijing", "VirtualService", "istiod-vs"))
    assert found[0].object == "VirtualService of istiod's port 15012"
    assert "Gateway istio-system/istiod-gateway (none)" in found[0].evidence[0]


@pytest.mark.parametrize(
    "change",
    [
        lambda route: route["route"][0]["destination"].update(host="web.shop.svc.cluster.local"),
        lambda route: route["match"][0].update(sniHosts=["web.example.com"]),
        lambda route: route["match"][0].update(port=15099),
    ],
)
def test_a_route_that_leads_elsewhere_does_not_lead_to_istiod(change):
    snapshot = edited(
        healthy(), "beijing", "VirtualService", "istiod-vs", lambda r: change(r["spec"]["tls"][0])
    )
    assert only(snapshot).object == "VirtualService of istiod's port 15012"


def test_a_route_by_a_revisions_name_leads_to_istiod():
    def change(item):
        for route in item["spec"]["tls"]:
            route["match"][0]["sniHosts"] = ["istiod-canary.istio-system.svc"]
            route["route"][0]["destination"]["host"] = (
                "istiod-canary.istio-system.svc.cluster.local"
            )

    assert not_served.run(edited(healthy(), "beijing", "VirtualService", "istiod-vs", change)) == []


def test_remotes_that_are_sent_elsewhere_need_no_way_through_the_gateway():
    snapshot = without(healthy(), "beijing", "Gateway", "istiod-gateway")
    elsewhere = {"remote": {"values": {"global": {"remotePilotAddress": "192.0.2.8"}}}}
    environment = {**snapshot.environment, "overlays": elsewhere}
    assert not_served.run(snapshot.model_copy(update={"environment": environment})) == []


def test_a_port_that_the_gateways_service_does_not_publish_is_named():
    def drop(item):
        item["spec"]["ports"] = [p for p in item["spec"]["ports"] if p["port"] != 15443]

    found = only(edited(healthy(), "shanghai", "Service", "istio-eastwestgateway", drop))
    assert found.clusters == ("shanghai",)
    assert found.evidence[0].endswith("publishes the ports 15021, 15012, 15017, and not 15443")


def test_what_was_not_listed_is_no_news():
    snapshot = with_kind(healthy(), "beijing", "Gateway", None)
    assert not_served.run(snapshot) == []
    assert not_served.run(with_kind(healthy(), "beijing", "VirtualService", None)) == []
    assert not_served.run(changed(healthy(), "beijing", objects={}, reachable=False)) == []
