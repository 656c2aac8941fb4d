"""The endpoint table of the caller's sidecar: read, expected, judged."""

import json
from pathlib import Path

import pytest
import yaml

from isthmus.errors import NotReady
from isthmus.step_results import GatewayAddress
from isthmus.verification import (
    ObservedEndpoint,
    ReportedState,
    count_active_connections,
    evaluate_endpoints,
    evaluate_gateway,
    expected_endpoints,
    has_endpoint,
    parse_clusters,
)

CASES = Path(__file__).parents[1] / "cases" / "verification"
HELLOWORLD = "outbound|5000||helloworld.sample.svc.cluster.local"
TWO = ReportedState(
    pods={
        "beijing": {"helloworld-a": "10.244.0.7"},
        "shanghai": {"helloworld-b": "10.244.0.7", "helloworld-c": "10.244.0.8"},
    },
    gateways={"beijing": ["198.18.1.200:15443"], "shanghai": ["198.18.2.200:15443"]},
    networks={"beijing": "network1", "shanghai": "network2"},
)


def endpoint(text: str) -> ObservedEndpoint:
    place, _, health = text.partition(" ")
    address, _, port = place.rpartition(":")
    return ObservedEndpoint(address=address, port=int(port), health=health or "HEALTHY")


def test_endpoints_by_ipv6_are_the_same_wherever_they_are_told():
    gateway = GatewayAddress(cluster="shanghai", address="fd00::2", port=15443)
    assert gateway.found == "[fd00::2]:15443"
    pods = {"beijing": {"helloworld-a": "fd00:a::7"}, "shanghai": {"helloworld-b": "fd00:b::7"}}
    ways = {"beijing": ["[fd00::1]:15443"], "shanghai": gateway.endpoints}
    reported = TWO.model_copy(update={"pods": pods, "gateways": ways})
    seen = [
        ObservedEndpoint(address="fd00:a::7", port=5000),
        ObservedEndpoint(address="fd00::2", port=15443),
    ]
    assert evaluate_endpoints("beijing", seen, reported) == []
    [lacking] = evaluate_endpoints("beijing", seen[:1], reported)
    assert "[fd00::2]:15443" in lacking.text


@pytest.mark.parametrize(("source", "dialled"), [("envoy.json", 3), ("istioctl.json", 0)])
def test_both_forms_of_the_table_are_read_alike(source, dialled):
    assert parse_clusters((CASES / source).read_text(), HELLOWORLD) == [
        ObservedEndpoint(
            address="10.244.0.7", port=5000, weight=1, health="HEALTHY", dialled=dialled
        ),
        ObservedEndpoint(address="198.18.2.200", port=15443, weight=3, health="HEALTHY"),
        ObservedEndpoint(address="198.18.3.200", port=15443, weight=1, health="EJECTED"),
    ]


def test_an_endpoint_reads_as_people_write_it():
    assert endpoint("198.18.2.200:15443").text == "198.18.2.200:15443"


@pytest.mark.parametrize("name", ["outbound|5000||other.sample.svc.cluster.local", "BlackHole"])
def test_a_service_that_the_sidecar_does_not_know_has_no_endpoints(name):
    assert parse_clusters((CASES / "envoy.json").read_text(), name) == []


def test_an_endpoint_without_a_socket_address_does_not_vanish():
    seen = parse_clusters((CASES / "envoy.json").read_text(), "xds-grpc")
    assert [e.text for e in seen] == ["internal:0"]


@pytest.mark.parametrize("text", ["", "upstream connect error", "null", "7", '"x"'])
def test_something_else_than_a_table_is_not_ready_and_shown(text):
    with pytest.raises(NotReady) as caught:
        parse_clusters(text, HELLOWORLD)
    assert repr(text) in str(caught.value)
    assert "run the same command again" in str(caught.value)


def test_expected_are_own_pods_and_the_gateways_of_others():
    where = (TWO.addresses, TWO.gateways, TWO.networks)
    assert expected_endpoints("beijing", *where) == {"10.244.0.7:5000", "198.18.2.200:15443"}
    assert expected_endpoints("shanghai", *where) == {
        "10.244.0.7:5000",
        "10.244.0.8:5000",
        "198.18.1.200:15443",
    }


def test_clusters_in_one_network_expect_each_others_pods_directly():
    pods = {"a": ["10.1.0.1"], "b": ["10.1.1.1"], "c": ["10.2.0.1"]}
    gateways = {"a": ["198.18.1.1:15443"], "b": [], "c": ["198.18.3.1:15443", "198.18.3.2:15443"]}
    networks = {"a": "n1", "b": "n1", "c": "n2"}
    assert expected_endpoints("b", pods, gateways, networks) == {
        "10.1.0.1:5000",
        "10.1.1.1:5000",
        "198.18.3.1:15443",
        "198.18.3.2:15443",
    }
    assert expected_endpoints("c", pods, gateways, networks) == {
        "10.2.0.1:5000",
        "198.18.1.1:15443",
    }


def test_a_network_without_pods_is_not_expected():
    expected = expected_endpoints("beijing", {"beijing": ["10.0.0.1"]}, TWO.gateways, TWO.networks)
    assert expected == {"10.0.0.1:5000"}


def test_the_samples_port_can_be_another():
    where = (TWO.addresses, TWO.gateways, TWO.networks)
    assert "10.244.0.7:8080" in expected_endpoints("beijing", *where, port=8080)


@pytest.mark.parametrize(
    "case", yaml.safe_load((CASES / "tables.yaml").read_text()), ids=lambda case: case["name"]
)
def test_table(case):
    found = evaluate_endpoints("beijing", [endpoint(text) for text in case["seen"]], TWO)
    assert [[reason.kind, reason.about] for reason in found] == case["findings"]


def test_every_reason_names_client_address_cause_and_a_command():
    seen = [endpoint("10.244.0.8:5000"), endpoint("10.9.9.9:5000")]
    for reason in evaluate_endpoints("beijing", seen, TWO):
        assert reason.text.startswith("beijing: ")
        assert ". Likely cause: " in reason.text
        assert ". Type: kubectl --context " in reason.text


def test_a_missing_gateway_is_named_with_its_network():
    (reason,) = evaluate_endpoints("beijing", [endpoint("10.244.0.7:5000")], TWO)
    assert "198.18.2.200:15443" in reason.text
    assert "network2 (shanghai)" in reason.text
    assert "remote secret" in reason.text


def test_a_network_with_pods_and_no_gateway_address_is_red():
    reported = TWO.model_copy(update={"gateways": {"beijing": ["198.18.1.200:15443"]}})
    (reason,) = evaluate_endpoints("beijing", [endpoint("10.244.0.7:5000")], reported)
    assert (reason.kind, reason.about) == ("no gateway", "shanghai")


def test_a_gateway_that_lists_another_networks_gateway_sends_requests_back():
    own = [endpoint("10.244.0.7:5000"), endpoint("10.244.0.8:5000")]
    assert evaluate_gateway("shanghai", {"one": own}, TWO) == []
    back = [*own, endpoint("198.18.1.200:15443")]
    (reason,) = evaluate_gateway("shanghai", {"one": own, "two": back}, TWO)
    assert (reason.kind, reason.about) == ("sends back", "shanghai")
    assert "ISTIO_META_REQUESTED_NETWORK_VIEW=network2" in reason.text
    assert "pod two" in reason.text and "pod one" not in reason.text


def test_a_pod_of_a_gateway_that_knows_less_than_its_like_is_named():
    own = [endpoint("10.244.0.7:5000"), endpoint("10.244.0.8:5000")]
    (reason,) = evaluate_gateway("shanghai", {"one": own, "two": own[:1]}, TWO)
    assert (reason.kind, reason.about) == ("gateway behind", "shanghai")
    assert "pod two does not list 10.244.0.8:5000" in reason.text
    assert evaluate_gateway("shanghai", {"one": own, "two": own}, TWO) == []


def test_a_gateway_without_a_ready_pod_is_down():
    assert [r.kind for r in evaluate_gateway("shanghai", {}, TWO)] == ["gateway down"]


def test_an_address_is_found_wherever_a_proxy_lists_it():
    text = (CASES / "envoy.json").read_text()
    assert has_endpoint(text, "198.18.2.200")
    assert not has_endpoint(text, "198.18.2.20")


def test_open_connections_into_the_mesh_are_counted_and_no_others():
    def cluster(name, *active):
        # Envoy leaves a zero out.
        counts = [{"name": "cx_active", **({"value": n} if n else {})} for n in active]
        hosts = [{"stats": [count, {"name": "rq_total", "value": "7"}]} for count in counts]
        return {"name": name, "host_statuses": hosts}

    found = [
        cluster("outbound_.5000_._.helloworld.sample.svc.cluster.local", "2", None),
        cluster("outbound_.80_._.shop.other.svc.cluster.local", "1"),
        cluster("xds-grpc", "4"),
        {"name": "outbound_.9000_._.empty.other.svc.cluster.local"},
    ]
    assert count_active_connections(json.dumps({"cluster_statuses": found})) == 3
