"""Addresses and clusters that are not there any more: F29."""

import copy

import pytest
from snapshot_objects import HELLOWORLD, thing
from snapshots import NOW, changed, edited, healthy, with_kind, with_object, without

from isthmus.diagnosis.analyzers.stale_endpoints import not_there
from isthmus.diagnosis.snapshot import ProxyEndpoint, TokenLogin

GATEWAY = "istio-eastwestgateway"


def only(snapshot):
    [found] = not_there.run(snapshot)
    return found


def istiod(snapshot, **fields):
    [one] = snapshot.host.istiods
    return changed(snapshot, "beijing", istiods=[one.model_copy(update=fields)])


def listing(snapshot, name, *addresses):
    """Return a snapshot in which the callers of a cluster list more endpoints."""
    more = [ProxyEndpoint(address=a, port=15443) for a in addresses]
    table = f"outbound|5000||{HELLOWORLD}"
    proxies = [
        p.model_copy(update={"endpoints": {table: [*p.endpoints[table], *more]}})
        if p.app == "sleep"
        else p
        for p in snapshot.cluster(name).proxies
    ]
    return changed(snapshot, name, proxies=proxies)


@pytest.mark.parametrize("stack", ["istio-1.31", "guide"])
def test_every_address_of_a_healthy_mesh_is_somebodys(stack):
    assert not_there.run(healthy(2, stack)) == []


def test_a_remote_secret_of_a_cluster_that_is_gone_is_to_be_deleted():
    lost = (
        healthy()
        .host.remote_secrets[0]
        .model_copy(
            update={
                "name": "istio-remote-secret-old",
                "key": "old",
                "server": "https://172.16.9.9:6443",
                "login": TokenLogin(message="no route to host"),
            }
        )
    )
    secrets = [*healthy().host.remote_secrets, lost]
    found = only(changed(healthy(), "beijing", remote_secrets=secrets))
    assert (found.id, found.severity, found.clusters) == ("F29", "error", ("beijing",))
    assert "is for old, which the environment does not have" in found.evidence[0]
    assert found.evidence[1] == "https://172.16.9.9:6443: no route to host"
    assert found.fix == (
        "kubectl --context beijing -n istio-system delete secret istio-remote-secret-old"
    )


def test_a_cluster_that_was_joined_by_hand_and_lives_is_a_warning():
    secret = healthy().host.remote_secrets[0]
    update = {"key": "old", "server": "https://172.16.9.9:6443", "name": "old"}
    login = secret.login.model_copy(update={"uid": "another"})
    alive = secret.model_copy(update={**update, "login": login})
    shards = {HELLOWORLD: {"sample": {"Kubernetes/old": ["10.99.0.7"]}}}
    snapshot = changed(healthy(), "beijing", remote_secrets=[secret, alive])
    found = only(istiod(snapshot, endpoint_shards=shards))
    assert found.severity == "warning"
    assert found.evidence[-1] == "istiod has its endpoints 10.99.0.7"
    assert found.fix.startswith("# if it is to leave the mesh:")


def test_an_endpoint_that_istiod_keeps_of_a_pod_that_is_gone_is_named():
    snapshot = without(healthy(), "shanghai", "Pod", "helloworld-7c-1")
    found = {f.object: f for f in not_there.run(snapshot)}
    told = found["endpoint 10.11.0.7"]
    assert "istiod istio-system/istiod-5d4f8-x2x9k, in shanghai" in told.evidence[0]
    assert told.clusters == ("beijing",)
    assert told.fix.endswith("rollout restart deployment/istiod")


def test_istiods_own_form_of_endpoints_is_read():
    shards = {
        HELLOWORLD: {
            "sample": {
                "Shards": {"Kubernetes/shanghai": [{"Addresses": ["10.11.0.99"]}]},
                "ServiceAccounts": {},
            }
        }
    }
    assert only(istiod(healthy(), endpoint_shards=shards)).object == "endpoint 10.11.0.99"


@pytest.mark.parametrize(
    "networks",
    [
        [{"Network": "network9", "Cluster": "old", "Addr": "198.18.9.200", "Port": 15443}],
        [{"network": "network9", "gateways": [{"addr": "198.18.9.200", "port": 15443}]}],
    ],
)
def test_a_gateway_of_a_cluster_that_is_gone_is_named(networks):
    found = only(istiod(healthy(), networks=networks))
    assert "as a gateway of network9" in found.evidence[0]


def test_a_workload_entry_that_was_left_is_to_be_deleted():
    shards = {HELLOWORLD: {"sample": {"Kubernetes/beijing": ["198.18.0.250"]}}}
    snapshot = istiod(healthy(), endpoint_shards=shards)
    found = only(snapshot)
    assert found.cause.startswith("either a WorkloadEntry was left")
    assert "get workloadentries -A -o wide | grep -F 198.18.0.250" in found.fix
    entry = thing("WorkloadEntry", "left", "sample", spec={"address": "198.18.0.250"})
    found = only(with_object(snapshot, "beijing", entry))
    assert found.certain
    assert found.fix == "kubectl --context beijing -n sample delete workloadentry left"


def test_an_address_that_only_a_proxy_has_is_the_proxys():
    found = only(listing(healthy(), "shanghai", "198.18.9.200"))
    assert found.clusters == ("shanghai",)
    assert "the proxy of sample/sleep-5b-1" in found.evidence[0]
    assert found.fix == "kubectl --context shanghai -n sample delete pod sleep-5b-1"


def test_a_gateways_address_that_changed_is_stale_where_it_is_used():
    def change(item):
        item["status"]["loadBalancer"]["ingress"] = [{"ip": "198.18.2.201"}]

    snapshot = edited(healthy(), "shanghai", "Service", GATEWAY, change)
    assert only(snapshot).object == "endpoint 198.18.2.200"


def test_addresses_of_service_entries_are_somebodys():
    entry = thing("ServiceEntry", "vm", "sample", spec={"endpoints": [{"address": "192.0.2.5"}]})
    snapshot = with_object(listing(healthy(), "shanghai", "192.0.2.5"), "beijing", entry)
    assert not_there.run(snapshot) == []


def test_addresses_of_a_load_balancers_host_name_are_not_known_well_enough():
    def change(item):
        item["status"]["loadBalancer"]["ingress"] = [{"hostname": "lb.example.com"}]

    assert not_there.run(edited(healthy(), "shanghai", "Service", GATEWAY, change)) == []


@pytest.mark.parametrize("field", ["deletionTimestamp", "creationTimestamp"])
def test_pods_that_just_come_or_go_are_waited_for(field):
    def change(item):
        item["metadata"][field] = "2026-09-21T14:13:00Z"

    snapshot = edited(healthy(), "shanghai", "Pod", "sleep-5b-1", change)
    assert not_there.run(listing(snapshot, "beijing", "10.11.0.99")) == []
    later = snapshot.model_copy(update={"taken_at": NOW + 600})
    still = not_there.run(listing(later, "beijing", "10.11.0.99"))
    assert len(still) == (field == "creationTimestamp")


def test_clusters_that_did_not_tell_their_pods_may_have_any_address():
    snapshot = listing(healthy(), "beijing", "10.11.0.99")
    assert not_there.run(with_kind(snapshot, "shanghai", "Pod", None)) == []
    assert not_there.run(changed(snapshot, "shanghai", objects={}, reachable=False)) == []


def test_an_ipv6_address_is_the_same_however_it_is_written():
    def change(item):
        item["status"]["podIPs"].append({"ip": "fd00::7"})

    snapshot = edited(healthy(), "shanghai", "Pod", "helloworld-7c-1", change)
    copied = copy.deepcopy(snapshot)
    assert not_there.run(listing(copied, "shanghai", "fd00:0:0::7")) == []
