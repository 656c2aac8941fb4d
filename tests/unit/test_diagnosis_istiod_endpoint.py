"""A remote's Service for istiod that leads elsewhere: F11."""

import pytest
from snapshots import certificate as made_certificate
from snapshots import changed, edited, healthy, probed, with_kind, without

from isthmus.diagnosis.analyzers.istiod_endpoint import leads_elsewhere

GATEWAY = "istio-eastwestgateway"


def only(snapshot):
    [found] = leads_elsewhere.run(snapshot)
    return found


def of_istiod(probe):
    return probe.purpose == "istiod" and probe.source == "shanghai"


def shut(snapshot, error="Connection timed out", at="tcp", **fields):
    known = {"connected": at == "tls", "certificates": (), "error": error, "error_at": at}
    return probed(snapshot, of_istiod, **known, **fields)


def without_probes(snapshot):
    return snapshot.model_copy(update={"probes": []})


def slice_edited(snapshot, change):
    return edited(snapshot, "shanghai", "EndpointSlice", "istiod", change)


def moved(item):
    item["endpoints"][0]["addresses"] = ["192.0.2.1"]


@pytest.mark.parametrize("stack", ["istio-1.31", "guide"])
def test_remotes_of_a_healthy_mesh_reach_istiod(stack):
    assert leads_elsewhere.run(healthy(2, stack)) == []
    assert leads_elsewhere.run(without_probes(healthy(2, stack))) == []


def test_a_slice_with_another_address_is_shown_beside_the_gateways():
    found = only(shut(slice_edited(healthy(), moved)))
    assert (found.id, found.clusters) == ("F11", ("shanghai",))
    assert found.object == "Service istio-system/istiod"
    assert found.evidence[0] == (
        "shanghai: it leads to 192.0.2.1; the host's gateway is at 198.18.1.200"
    )
    assert "Connection timed out" in found.evidence[1]
    assert found.fix == "isthmus up pair"


def test_another_address_by_which_istiod_answers_is_none_of_our_business():
    assert leads_elsewhere.run(slice_edited(healthy(), moved)) == []


def test_an_address_that_the_environment_itself_names_is_right():
    snapshot = slice_edited(without_probes(healthy()), moved)
    overlays = {"remote": {"values": {"global": {"remotePilotAddress": "192.0.2.1"}}}}
    environment = {**snapshot.environment, "overlays": overlays}
    assert leads_elsewhere.run(snapshot.model_copy(update={"environment": environment})) == []


def test_a_service_that_was_deleted_is_made_anew():
    found = only(without(healthy(), "shanghai", "Service", "istiod"))
    assert found.evidence[0] == "shanghai: there is no such Service"


def test_the_guides_service_has_another_name():
    found = only(without(healthy(1, "guide"), "shanghai", "Service", "istiod-remote"))
    assert found.object == "Service istio-system/istiod-remote"


def test_a_service_without_a_slice_leads_nowhere():
    found = only(without(healthy(), "shanghai", "EndpointSlice", "istiod"))
    assert "has no ready address in any EndpointSlice" in found.evidence[0]


def test_a_host_name_among_addresses_is_no_endpoint():
    def change(item):
        item["addressType"] = "FQDN"
        item["endpoints"][0]["addresses"] = ["lb.example.com"]

    assert (
        "lb.example.com, which is no IP address"
        in only(slice_edited(healthy(), change)).evidence[0]
    )


def test_ports_whose_names_differ_from_the_services_lead_nowhere():
    found = only(slice_edited(healthy(), lambda s: s["ports"][1].update(name="webhook")))
    assert "leads to 15017" in found.evidence[0]
    assert "webhook 15017" in found.evidence[0]


def test_an_external_name_that_is_the_load_balancers_is_right():
    def external(item):
        item["spec"] |= {"type": "ExternalName", "externalName": "lb.example.com"}

    def named(item):
        item["status"] = {"loadBalancer": {"ingress": [{"hostname": "lb.example.com"}]}}

    snapshot = without_probes(healthy())
    snapshot = edited(snapshot, "shanghai", "Service", "istiod", external)
    assert leads_elsewhere.run(edited(snapshot, "beijing", "Service", GATEWAY, named)) == []


@pytest.mark.parametrize(
    ("error", "at", "cause"),
    [
        ("Connection timed out", "tcp", "a firewall between shanghai and beijing's load balancer"),
        ("Could not resolve host", "name", "the DNS of shanghai does not know"),
        ("the connection was closed during the handshake", "tls", "passes port 15012 on to no"),
    ],
)
def test_a_way_to_istiod_that_is_shut_is_told_by_what_came_back(error, at, cause):
    found = only(shut(healthy(2), error, at, source_pod="sample/sleep-5b-1"))
    assert found.clusters == ("shanghai", "beijing")
    assert error in found.evidence[0]
    assert cause in found.cause
    assert "exec sleep-5b-1 -c istio-proxy -- curl" in found.fix


def test_another_certificate_than_istiods_is_told():
    chain = (made_certificate("CN=lb.example.com", sans=("lb.example.com",)),)
    found = only(probed(healthy(), of_istiod, certificates=chain))
    assert "it presents CN=lb.example.com" in found.evidence[1]
    assert "something else than istiod" in found.cause


def test_a_remotes_own_istiod_is_not_the_hosts():
    snapshot = shut(healthy(1, "guide"), host="istiod.istio-system.svc")
    assert leads_elsewhere.run(snapshot) == []


@pytest.mark.parametrize("kind", ["Service", "EndpointSlice"])
def test_what_was_not_listed_is_no_news(kind):
    assert leads_elsewhere.run(with_kind(without_probes(healthy()), "shanghai", kind, None)) == []


def test_clusters_before_endpointslices_are_no_news():
    snapshot = with_kind(without_probes(healthy()), "shanghai", "EndpointSlice", [])
    assert leads_elsewhere.run(snapshot) == []


def test_the_address_of_a_host_that_does_not_answer_is_not_guessed():
    snapshot = changed(without_probes(healthy()), "beijing", objects={}, reachable=False)
    assert leads_elsewhere.run(slice_edited(snapshot, moved)) == []
