"""What a caller must find of a user's own service, by what clusters have and rules say."""

import pytest
from snapshots import healthy, with_kind, with_object

from isthmus.diagnosis.service_expectation import expect_service
from isthmus.environment import ServiceSpec
from isthmus.verification import ServiceRoute

GATEWAYS = {"beijing": ["198.18.1.3:15443"], "shanghai": ["198.18.2.3:15443"]}


def spec(**fields):
    return ServiceSpec(**{"name": "shop/cart", **fields})


def service(**fields):
    ports = fields.pop("ports", [{"name": "http", "port": 8080, "targetPort": 5000}])
    own = {"selector": {"app": "cart"}, "ports": ports, "clusterIP": "10.96.0.9", **fields}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "cart", "namespace": "shop"},
        "spec": own,
    }


def pod(name, ip, *, ready=True, meshed=True, version="v1"):
    labels = {"app": "cart", "version": version}
    labels |= {"security.istio.io/tlsMode": "istio"} if meshed else {}
    state = {"type": "Ready", "status": "True" if ready else "False"}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "shop", "labels": labels},
        "spec": {"containers": [{"name": "cart"}]},
        "status": {"phase": "Running", "podIP": ip, "conditions": [state]},
    }


def slice_of(*pods, number=5000, name="http"):
    endpoints = [
        {
            "addresses": [p["status"]["podIP"]],
            "conditions": {"ready": p["status"]["conditions"][0]["status"] == "True"},
            "targetRef": {"kind": "Pod", "name": p["metadata"]["name"]},
        }
        for p in pods
    ]
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": "cart-x",
            "namespace": "shop",
            "labels": {"kubernetes.io/service-name": "cart"},
        },
        "ports": [{"name": name, "port": number}],
        "endpoints": endpoints,
    }


def deployed(snapshot, name, *pods, own=None):
    for each in (own or service(), slice_of(*pods), *pods):
        snapshot = with_object(snapshot, name, each)
    return snapshot


def shop(**fields):
    """Return a mesh of two with the service in both, one pod each."""
    own = service(**fields)
    found = deployed(healthy(), "beijing", pod("cart-a", "10.244.0.9"), own=own)
    return deployed(found, "shanghai", pod("cart-b", "10.244.0.9"), own=own)


def rule(kind, group="networking.istio.io/v1", namespace="shop", **fields):
    meta = {"name": "cart", "namespace": namespace}
    return {"apiVersion": group, "kind": kind, "metadata": meta, "spec": fields}


def expected(snapshot, client="beijing", **fields):
    return expect_service(snapshot, spec(**fields), client, GATEWAYS)


def test_pods_of_the_own_network_and_the_gateways_of_others_are_expected():
    found = expected(shop())
    assert [(e.text, e.clusters, e.pods, e.gateway) for e in found.endpoints] == [
        ("10.244.0.9:5000", ("beijing",), ("beijing/cart-a",), False),
        ("198.18.2.3:15443", ("shanghai",), ("shanghai/cart-b",), True),
    ]
    assert found.url == "http://cart.shop:8080/"
    assert found.envoy_clusters == ["outbound|8080||cart.shop.svc.cluster.local"]
    assert not found.steered and not found.notes and not found.findings


def test_a_network_without_ready_pods_has_no_way_to_it():
    mesh = deployed(shop(), "shanghai", pod("cart-b", "10.244.0.9", ready=False))
    found = expected(mesh)
    assert [e.text for e in found.endpoints] == ["10.244.0.9:5000"]
    [reason] = found.findings
    assert reason.kind == "no pods" and reason.about == "shanghai"


def test_a_cluster_without_the_service_cannot_be_asked_from_and_is_named_once():
    mesh = deployed(healthy(), "beijing", pod("cart-a", "10.244.0.9"))
    [reason] = expected(mesh, "shanghai").findings
    assert reason.about == "shanghai" and "there is no Service shop/cart" in reason.text
    assert not expected(mesh, "shanghai").endpoints
    assert not expected(mesh, "beijing").findings


def test_pods_without_a_sidecar_are_not_reached_from_other_networks():
    mesh = deployed(shop(), "shanghai", pod("cart-b", "10.244.0.9", meshed=False))
    found = expected(mesh)
    assert [e.text for e in found.endpoints] == ["10.244.0.9:5000"]
    [reason] = found.findings
    assert reason.kind == "no sidecar" and reason.about == "shanghai"
    assert not expected(mesh, "shanghai").findings, "its own network reaches them"


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"port": 81}, "no port 81: it has 8080"),
        ({"own": {"clusterIP": "None"}}, "is headless"),
        ({"own": {"type": "ExternalName"}}, "is of type ExternalName"),
        ({"own": {"ports": [{"port": 1}, {"port": 2}]}}, "no single port: it has 1, 2"),
    ],
)
def test_what_cannot_be_asked_is_told_with_what_to_do(fields, words):
    own = fields.pop("own", {})
    [reason] = expected(shop(**own), **fields).findings
    assert words in reason.text and "Type: " in reason.text


@pytest.mark.parametrize(
    ("port", "protocol"),
    [
        ({"name": "http-web"}, "http"),
        ({"name": "tcp-db"}, "tcp"),
        ({"name": "web", "appProtocol": "HTTP"}, "http"),
        ({"name": "mysql"}, "tcp"),
        ({"name": "https"}, "tcp"),
        ({"name": "web"}, "http"),
        ({"name": "db", "port": 3306}, "tcp"),
        ({"name": "web", "appProtocol": "kubernetes.io/wss"}, "tcp"),
        ({"name": "web", "appProtocol": "tcp-custom"}, "tcp"),
    ],
)
def test_the_protocol_is_what_the_port_says_as_istio_reads_it(port, protocol):
    assert expected(shop(ports=[{"port": 8080, **port}])).protocol == protocol


def test_a_network_with_pods_and_without_a_gateways_address_is_told():
    gateways = {**GATEWAYS, "shanghai": []}
    [reason] = expect_service(shop(), spec(), "beijing", gateways).findings
    assert (reason.kind, reason.about) == ("no gateway", "shanghai")


def test_a_request_that_no_route_means_is_told_as_what_envoy_answers():
    ways = [{"match": [{"uri": {"prefix": "/v2"}}], "route": [{"destination": {"host": "cart"}}]}]
    made = rule("VirtualService", hosts=["cart"], http=ways)
    [note] = expected(with_object(shop(), "beijing", made), path="/healthz?v=/v2").notes
    assert "Envoy answers 404" in note


def test_a_virtualservice_with_weights_is_known_with_its_subsets():
    route = [
        {"destination": {"host": "cart", "subset": "v1"}, "weight": 80},
        {"destination": {"host": "cart", "subset": "v2"}, "weight": 20},
    ]
    found = expected(
        with_object(
            shop(), "beijing", rule("VirtualService", hosts=["cart"], http=[{"route": route}])
        )
    )
    assert found.routes == (
        ServiceRoute(subset="v1", port=8080, weight=80),
        ServiceRoute(subset="v2", port=8080, weight=20),
    )
    assert not found.steered
    assert found.notes == ("VirtualService shop/cart routes to subsets: v1 80, v2 20",)
    assert "outbound|8080|v2|cart.shop.svc.cluster.local" in found.envoy_clusters


@pytest.mark.parametrize(
    ("term", "taken"),
    [
        ({"uri": {"prefix": "/v2"}}, False),
        ({"uri": {"prefix": "/"}}, True),
        ({"uri": {"exact": "/healthz"}, "method": {"exact": "GET"}}, True),
        ({"uri": {"regex": "/heal.*"}, "port": 8080}, True),
        ({"port": 9090}, False),
        ({"method": {"exact": "POST"}}, False),
        ({"sourceNamespace": "elsewhere"}, False),
        ({"uri": {"regex": "("}}, False),
    ],
)
def test_what_a_match_means_for_the_request_is_known(term, taken):
    ways = [
        {"match": [term], "route": [{"destination": {"host": "cart", "subset": "v1"}}]},
        {"route": [{"destination": {"host": "cart"}}]},
    ]
    found = expected(
        with_object(shop(), "beijing", rule("VirtualService", hosts=["cart"], http=ways)),
        path="/healthz",
    )
    assert not found.steered
    assert [route.subset for route in found.routes] == ["v1" if taken else ""]


def test_addresses_of_an_ip_version_that_the_caller_has_not_are_not_expected():
    found = deployed(shop(), "beijing", pod("cart-a", "10.244.0.9"), pod("cart-6", "fd00::9"))
    assert "[fd00::9]:5000" not in [e.text for e in expected(found).endpoints]


def test_a_virtualservice_in_a_remote_changes_nothing():
    mesh = with_object(
        shop(),
        "shanghai",
        rule("VirtualService", hosts=["cart"], http=[{"route": [{"destination": {"host": "x"}}]}]),
    )
    assert expected(mesh).notes == ()


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (
            rule("DestinationRule", host="cart", trafficPolicy={
                "loadBalancer": {"consistentHash": {"useSourceIp": True}}}),
            "DestinationRule shop/cart: loadBalancer.consistentHash",
        ),
        (
            rule("DestinationRule", host="*.shop.svc.cluster.local", trafficPolicy={
                "loadBalancer": {"localityLbSetting": {"distribute": [{"from": "a", "to": {}}]}}}),
            "DestinationRule shop/cart: loadBalancer.localityLbSetting.distribute",
        ),
        (
            rule("VirtualService", hosts=["cart.shop.svc.cluster.local"], http=[
                {"match": [{"headers": {"v": {"exact": "2"}}}],
                 "route": [{"destination": {"host": "b"}}]},
                {"route": [{"destination": {"host": "cart"}}]}]),
            "VirtualService shop/cart routes by what a request is",
        ),
        (
            rule("VirtualService", hosts=["cart"], http=[
                {"route": [{"destination": {"host": "basket"}}]}]),
            "VirtualService shop/cart routes to another service",
        ),
        (
            rule("VirtualService", hosts=["cart"], http=[
                {"mirror": {"host": "cart"}, "route": [{"destination": {"host": "cart"}}]}]),
            "VirtualService shop/cart has mirror",
        ),
    ],
)  # fmt: skip
def test_what_of_the_users_rules_makes_another_share_right_is_said(made, words):
    found = expected(with_object(shop(), "beijing", made))
    assert found.steered and found.notes == (words,)
    assert found.any_table == words.endswith("distribute")


def test_a_service_that_stays_in_its_cluster_is_expected_there_alone():
    settings = (
        "serviceSettings: [{settings: {clusterLocal: true}, hosts: ['*.shop.svc.cluster.local']}]"
    )
    config = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "istio", "namespace": "istio-system"},
        "data": {"mesh": settings},
    }
    mesh = with_object(shop(), "beijing", config)
    host = [i.model_copy(update={"mesh": None}) for i in mesh.host.istiods]
    clusters = [
        c.model_copy(update={"istiods": host}) if c.name == "beijing" else c for c in mesh.clusters
    ]
    found = expected(mesh.model_copy(update={"clusters": clusters}))
    assert [e.text for e in found.endpoints] == ["10.244.0.9:5000"]
    assert found.notes == ("MeshConfig: clusterLocal, so that no other cluster answers",)


def test_where_a_cluster_tells_no_endpointslices_its_ready_pods_are_taken():
    mesh = with_kind(
        with_kind(shop(), "beijing", "EndpointSlice", []), "shanghai", "EndpointSlice", []
    )
    assert [e.text for e in expected(mesh).endpoints] == ["10.244.0.9:5000", "198.18.2.3:15443"]
