"""Networks that are mixed up, or shared without a way: F18, F16, F17."""

import pytest
import yaml
from snapshots import changed, edited, healthy, with_kind

from isthmus.diagnosis.analyzers.networks import other_network
from isthmus.diagnosis.analyzers.shared_networks import not_routable, overlapping
from isthmus.diagnosis.snapshot import ProxyEndpoint

LABEL = "topology.istio.io/network"
GATEWAY = "istio-eastwestgateway"


def only(check, snapshot):
    [found] = check.run(snapshot)
    return found


def relabelled(kind, name, value):
    def change(item):
        item["metadata"]["labels"].pop(LABEL, None)
        item["metadata"]["labels"] |= {LABEL: value} if value else {}

    return edited(healthy(), "shanghai", kind, name, change)


@pytest.mark.parametrize("stack", ["istio-1.31", "guide"])
@pytest.mark.parametrize("check", [other_network, not_routable, overlapping])
def test_a_healthy_mesh_has_its_networks_apart(stack, check):
    assert check.run(healthy(2, stack)) == []


# F18


@pytest.mark.parametrize("value", ["", "network1"])
@pytest.mark.parametrize(
    ("kind", "name", "effect"),
    [
        ("Namespace", "istio-system", "takes the cluster's pods for some of another network"),
        ("Service", GATEWAY, "knows no gateway of the network"),
    ],
)
def test_a_label_that_is_missing_or_wrong_is_told_with_what_istiod_makes_of_it(
    value, kind, name, effect
):
    found = only(other_network, relabelled(kind, name, value))
    assert (found.id, found.clusters) == ("F18", ("shanghai",))
    assert found.evidence[0].endswith(f"is {value or 'missing'}")
    assert found.evidence[1] == "the environment says network2"
    assert effect in found.cause
    assert found.fix == "isthmus up pair"


def test_the_guides_own_list_of_networks_is_read_in_place_of_labels():
    def change(item):
        networks = yaml.safe_load(item["data"]["meshNetworks"])
        networks["networks"]["network2"]["gateways"][0]["port"] = 15443
        item["data"]["meshNetworks"] = yaml.safe_dump(networks)

    found = only(
        other_network, edited(healthy(1, "guide"), "beijing", "ConfigMap", "istio", change)
    )
    assert found.clusters == ("shanghai",)
    assert "has no network2 with a gateway on port 443" in found.evidence[0]


def test_a_cluster_that_the_guides_list_lacks_is_named():
    def change(item):
        item["data"]["meshNetworks"] = "networks: {}"

    found = other_network.run(edited(healthy(1, "guide"), "beijing", "ConfigMap", "istio", change))
    assert [f.clusters for f in found] == [("beijing",), ("shanghai",)]


def test_proxies_that_the_injector_puts_into_another_network_are_told_with_its_path():
    def hook(item):
        for each in item["webhooks"]:
            each["clientConfig"]["service"]["path"] = "/inject/cluster/shanghai/net/network1"

    snapshot = edited(
        relabelled("Pod", "sleep-5b-1", "network1"),
        "shanghai",
        "MutatingWebhookConfiguration",
        "istio-sidecar-injector",
        hook,
    )
    found = only(other_network, snapshot)
    assert found.evidence[0] == "shanghai: Pod sample/sleep-5b-1 is in network1"
    assert found.evidence[-1] == "the injector's path is /inject/cluster/shanghai/net/network1"
    assert found.certain
    assert found.fix == (
        "isthmus up pair\nkubectl --context shanghai -n sample rollout restart deployment"
    )


def test_a_gateways_proxy_in_another_network_is_seen_too():
    proxies = [
        p.model_copy(update={"network": "network7"}) if p.kind == "gateway" else p
        for p in healthy().cluster("shanghai").proxies
    ]
    found = only(other_network, changed(healthy(), "shanghai", proxies=proxies))
    assert f"Pod istio-system/{GATEWAY}-6d-1 is in network7" in found.evidence[0]
    assert not found.certain


@pytest.mark.parametrize("kind", ["Namespace", "Service", "Pod", "ConfigMap"])
def test_what_was_not_listed_is_no_news(kind):
    for stack in ("istio-1.31", "guide"):
        snapshot = with_kind(healthy(1, stack), "beijing", kind, None)
        assert other_network.run(with_kind(snapshot, "shanghai", kind, None)) == []


# F16, F17: only where clusters share one network


def shared(snapshot):
    return changed(snapshot, "shanghai", network="network1")


def test_pods_of_one_network_that_never_answered_each_other_are_told():
    endpoint = ProxyEndpoint(
        address="10.11.0.7", port=5000, requests=4, errors=4, connect_failures=4
    )
    proxies = [
        p.model_copy(update={"endpoints": {"outbound|5000||x": [endpoint]}})
        for p in healthy().host.proxies
        if p.app == "sleep"
    ]
    snapshot = changed(healthy(), "beijing", proxies=proxies)
    assert not_routable.run(snapshot) == []
    found = only(not_routable, shared(snapshot))
    assert (found.id, found.clusters) == ("F16", ("beijing", "shanghai"))
    assert "-> shanghai 10.11.0.7:5000: 4 connections failed" in found.evidence[0]
    assert found.fix.endswith("telnet://10.11.0.7:5000")


def nodes(snapshot, name, *ranges):
    return edited(
        snapshot, name, "Node", "node-1", lambda n: n.update(spec={"podCIDRs": [*ranges]})
    )


def test_ranges_of_pods_that_overlap_on_one_network_are_told():
    snapshot = nodes(healthy(), "beijing", "10.0.0.0/16", "fd00::/64")
    snapshot = nodes(snapshot, "shanghai", "10.0.128.0/24")
    assert overlapping.run(snapshot) == []
    found = only(overlapping, shared(snapshot))
    assert (found.id, found.clusters) == ("F17", ("beijing", "shanghai"))
    assert found.evidence == ("beijing: 10.0.0.0/16 (pods), shanghai: 10.0.128.0/24 (pods)",)


def test_a_range_of_services_may_be_the_same_in_both_but_not_that_of_pods():
    item = {"kind": "ServiceCIDR", "metadata": {"name": "kubernetes"}}
    snapshot = shared(nodes(nodes(healthy(), "beijing", "10.1.0.0/16"), "shanghai", "10.2.0.0/16"))
    for name in ("beijing", "shanghai"):
        service = {**item, "spec": {"cidrs": ["10.96.0.0/16"]}}
        snapshot = with_kind(snapshot, name, "ServiceCIDR", [service])
    assert overlapping.run(snapshot) == []
    inside = nodes(snapshot, "shanghai", "10.96.5.0/24")
    assert "beijing: 10.96.0.0/16 (Services)" in only(overlapping, inside).evidence[0]
