"""Gateways without an address, without a pod, or that send requests back: F12, F33, F32."""

import copy

import pytest
from snapshot_objects import thing
from snapshots import changed, edited, healthy, with_kind, with_object, without

from isthmus.diagnosis.analyzers.gateway_pods import no_ready_pod
from isthmus.diagnosis.analyzers.gateway_views import sends_back
from isthmus.diagnosis.analyzers.gateways import no_address
from isthmus.diagnosis.snapshot import ProxyEndpoint

GATEWAY = "istio-eastwestgateway"
POD = f"{GATEWAY}-6d-1"
STACKS = pytest.mark.parametrize("stack", ["istio-1.31", "guide"])


def only(analyzer, snapshot):
    [found] = analyzer.run(snapshot)
    return found


def service(snapshot, change):
    return edited(snapshot, "shanghai", "Service", GATEWAY, change)


def pod(snapshot, change):
    return edited(snapshot, "shanghai", "Pod", POD, change)


def event(kind, name, reason, message, moment="2026-09-21T14:10:00Z"):
    about = {"kind": kind, "name": name, "namespace": "istio-system"}
    made = {"type": "Warning", "reason": reason, "message": message, "lastTimestamp": moment}
    return thing("Event", f"{name}.{reason}", "istio-system", involvedObject=about, **made)


@STACKS
@pytest.mark.parametrize("check", [no_address, no_ready_pod, sends_back])
def test_a_healthy_mesh_has_gateways_with_addresses_and_pods(stack, check):
    assert check.run(healthy(2, stack)) == []


# F12


def pending(item):
    item["status"] = {"loadBalancer": {}}


def test_a_load_balancer_that_gives_no_address_is_named_and_can_be_given_one_by_hand():
    found = only(no_address, service(healthy(), pending))
    assert (found.id, found.clusters) == ("F12", ("shanghai",))
    assert "status.loadBalancer.ingress is empty" in found.evidence[0]
    assert "made 1 day ago" in found.evidence[0]
    assert found.cause == "no load balancer controller takes the Service"
    assert not found.certain
    assert found.fix.startswith("kubectl --context shanghai -n istio-system patch service")
    assert '{"ingress": [{"ip": "ADDRESS"}]}' in found.fix


def test_what_the_load_balancers_controller_says_is_the_cause():
    snapshot = service(healthy(), pending)
    late = event("Service", GATEWAY, "SyncLoadBalancerFailed", "quota exceeded")
    found = only(no_address, with_object(snapshot, "shanghai", late))
    assert "SyncLoadBalancerFailed: quota exceeded" in found.evidence
    assert found.certain
    assert "describe service istio-eastwestgateway" in found.fix


def test_a_load_balancer_made_just_now_may_still_be_made():
    def change(item):
        pending(item)
        item["metadata"]["creationTimestamp"] = "2026-09-21T14:12:20Z"

    assert "still being made" in only(no_address, service(healthy(), change)).cause


def test_a_class_that_nobody_serves_is_named():
    def change(item):
        pending(item)
        item["spec"]["loadBalancerClass"] = "example.com/internal"

    assert "spec.loadBalancerClass is example.com/internal" in (
        only(no_address, service(healthy(), change)).evidence
    )


@pytest.mark.parametrize("kind", ["NodePort", "ClusterIP"])
def test_a_service_of_another_type_is_made_a_load_balancer(kind):
    def change(item):
        pending(item)
        item["spec"]["type"] = kind

    found = only(no_address, service(healthy(), change))
    assert f"has type {kind}" in found.evidence[0]
    assert found.fix.endswith('--type merge -p \'{"spec":{"type":"LoadBalancer"}}\'')


def test_a_gateway_whose_service_was_deleted_is_told():
    found = only(no_address, without(healthy(), "shanghai", "Service", GATEWAY))
    assert found.evidence == ("shanghai has no Service istio-system/istio-eastwestgateway",)
    assert found.fix == "isthmus up pair"


@pytest.mark.parametrize("spec", [{"externalIPs": ["192.0.2.7"]}, {}])
def test_external_addresses_and_host_names_are_addresses(spec):
    def change(item):
        item["spec"].update(spec)
        ingress = [] if spec else [{"hostname": "lb.example.com"}]
        item["status"] = {"loadBalancer": {"ingress": ingress}}

    assert no_address.run(service(healthy(), change)) == []


def test_a_node_port_on_nodes_with_external_addresses_is_an_address():
    def change(item):
        item["spec"]["type"] = "NodePort"
        item["status"] = {}
        item["metadata"]["annotations"] = {"traffic.istio.io/nodeSelector": '{"edge": "yes"}'}

    def external(item):
        item["metadata"]["labels"]["edge"] = "yes"
        item["status"]["addresses"] = [{"type": "ExternalIP", "address": "192.0.2.9"}]

    snapshot = edited(service(healthy(), change), "shanghai", "Node", "node-1", external)
    assert no_address.run(snapshot) == []


def test_a_labelled_gateway_of_the_users_own_without_an_address_is_seen_too():
    found = copy.deepcopy(healthy().cluster("shanghai").objects["Service"])
    [own] = [s for s in found if s["metadata"]["name"] == GATEWAY]
    own["metadata"] |= {"name": "second-gateway", "namespace": "edge"}
    pending(own)
    snapshot = with_object(healthy(), "shanghai", own)
    assert only(no_address, snapshot).object == "Service edge/second-gateway"


# F33


def not_ready(item, **state):
    for condition in item["status"]["conditions"]:
        if condition["type"] != "PodScheduled":
            condition["status"] = "False"
    for status in item["status"]["containerStatuses"]:
        status.update(ready=False)
        if state:
            status["state"] = state


def no_pods(snapshot):
    return without(snapshot, "shanghai", "Pod", POD)


def deployment(snapshot, change):
    return edited(snapshot, "shanghai", "Deployment", GATEWAY, change)


def test_a_gateway_scaled_to_0_is_scaled_to_1_again():
    snapshot = deployment(no_pods(healthy()), lambda d: d["spec"].update(replicas=0))
    found = only(no_ready_pod, snapshot)
    assert (found.id, found.clusters) == ("F33", ("shanghai",))
    assert "spec.replicas is 0" in found.evidence[0]
    assert found.fix == (
        "kubectl --context shanghai -n istio-system scale deployment istio-eastwestgateway "
        "--replicas=1"
    )


def test_a_gateway_whose_deployment_was_deleted_is_made_anew():
    snapshot = without(no_pods(healthy()), "shanghai", "Deployment", GATEWAY)
    found = only(no_ready_pod, snapshot)
    assert "does not exist" in found.evidence[0]
    assert found.fix == "isthmus up pair"


def test_what_the_api_server_says_of_the_gateways_pods_is_evidence():
    def refused(item):
        message = "pods is forbidden: exceeded quota: mesh"
        item["status"]["conditions"] = [
            {"type": "ReplicaFailure", "status": "True", "message": message}
        ]

    found = only(no_ready_pod, deployment(no_pods(healthy()), refused))
    assert "pods is forbidden: exceeded quota: mesh" in found.evidence
    assert "rollout restart deployment/istio-eastwestgateway" in found.fix


def test_a_refusal_that_only_an_event_tells_is_evidence_too():
    told = event("ReplicaSet", f"{GATEWAY}-6d", "FailedCreate", "failed calling webhook")
    found = only(no_ready_pod, with_object(no_pods(healthy()), "shanghai", told))
    assert "FailedCreate: failed calling webhook" in found.evidence


def test_a_gateways_image_that_cannot_be_pulled_is_named():
    def change(item):
        waiting = {"reason": "ImagePullBackOff", "message": "not found"}
        not_ready(item, waiting=waiting)

    found = only(no_ready_pod, pod(healthy(), change))
    assert "ImagePullBackOff" in found.evidence[0]
    assert "registry.example/istio/proxyv2:1.31.0" in found.cause
    assert "isthmus up pair" in found.fix


def test_a_gateway_that_was_never_injected_is_told_from_a_missing_image():
    def change(item):
        item["spec"]["containers"][0]["image"] = "auto"
        not_ready(item, waiting={"reason": "ErrImagePull", "message": "denied"})

    found = only(no_ready_pod, pod(healthy(), change))
    assert "without the injector's webhook" in found.cause
    assert found.fix.startswith("isthmus up pair\n")


def test_a_gateway_that_no_node_takes_names_the_cordoned_node():
    def change(item):
        item["status"]["conditions"] = [
            {
                "type": "PodScheduled",
                "status": "False",
                "reason": "Unschedulable",
                "message": "0/1 nodes are available: 1 node(s) were unschedulable.",
            }
        ]

    snapshot = pod(healthy(), change)
    cordon = edited(
        snapshot, "shanghai", "Node", "node-1", lambda n: n["spec"].update(unschedulable=True)
    )
    assert only(no_ready_pod, cordon).fix == "kubectl --context shanghai uncordon node-1"
    assert "scheduler's reason" in only(no_ready_pod, snapshot).cause


@pytest.mark.parametrize(
    ("end", "cause"),
    [
        ({"reason": "OOMKilled", "exitCode": 137}, "more memory than its limit"),
        ({"reason": "Error", "exitCode": 1}, "ends and is started again"),
    ],
)
def test_a_gateway_that_crashes_is_told_by_how_it_ended(end, cause):
    def change(item):
        not_ready(item, waiting={"reason": "CrashLoopBackOff", "message": "back-off 5m0s"})
        item["status"]["containerStatuses"][0]["lastState"] = {"terminated": end}

    found = only(no_ready_pod, pod(healthy(), change))
    assert cause in found.cause
    assert str(end["exitCode"]) in found.evidence[0]


def test_a_gateway_that_waits_for_istiod_is_not_blamed_for_it():
    found = only(no_ready_pod, pod(healthy(), not_ready))
    assert "istiod does not answer" in found.cause
    assert not found.certain
    assert found.fix.endswith(f"logs {POD} -c istio-proxy --tail=50")


def test_a_volume_that_cannot_be_mounted_is_told_by_its_event():
    said = 'MountVolume.SetUp failed: configmap "istio-ca-root-cert" not found'
    snapshot = pod(healthy(), lambda p: not_ready(p, waiting={"reason": "ContainerCreating"}))
    told = event("Pod", POD, "FailedMount", said)
    found = only(no_ready_pod, with_object(snapshot, "shanghai", told))
    assert f"FailedMount: {said}" in found.evidence
    assert found.certain


def test_a_service_that_selects_no_ready_pod_is_a_gateway_without_one():
    snapshot = service(healthy(), lambda s: s["spec"].update(selector={"app": "nobody"}))
    found = only(no_ready_pod, snapshot)
    assert "selects app=nobody" in found.evidence[0]
    assert found.fix == "isthmus up pair"


def test_one_ready_pod_of_two_is_enough():
    second = copy.deepcopy(healthy().cluster("shanghai").objects["Pod"])
    [second] = [p for p in second if p["metadata"]["name"] == POD]
    second["metadata"]["name"] = f"{GATEWAY}-6d-2"
    not_ready(second)
    assert no_ready_pod.run(with_object(healthy(), "shanghai", second)) == []


@pytest.mark.parametrize("kind", ["Pod", "Deployment", "Service"])
def test_what_was_not_listed_is_no_news(kind):
    snapshot = with_kind(healthy(), "shanghai", kind, None)
    assert [*no_address.run(snapshot), *no_ready_pod.run(snapshot)] == []


# F32


def gateway_proxy(snapshot, **fields):
    found = snapshot.cluster("shanghai").proxies
    made = [p.model_copy(update=fields) if p.kind == "gateway" else p for p in found]
    return changed(snapshot, "shanghai", proxies=made)


def inner(*more):
    own = ProxyEndpoint(address="10.11.0.7", port=5000)
    return {"outbound_.5000_._.helloworld.sample.svc.cluster.local": [own, *more]}


def test_a_gateway_that_lists_another_networks_gateway_sends_requests_back():
    back = ProxyEndpoint(address="198.18.1.200", port=15443)
    snapshot = gateway_proxy(healthy(), endpoints=inner(back), requested_network_view=None, env={})
    found = only(sends_back, snapshot)
    assert (found.id, found.severity, found.clusters) == ("F32", "error", ("shanghai",))
    assert "lists 198.18.1.200:15443" in found.evidence[0]
    assert found.evidence[1].endswith("is not set")
    assert found.fix == "isthmus up pair"


def test_a_gateway_without_a_view_is_warned_of_before_it_sends_requests_back():
    found = only(sends_back, gateway_proxy(healthy(), requested_network_view=None, env={}))
    assert found.severity == "warning"


def test_a_gateway_that_did_not_answer_is_not_taken_for_one_without_a_view():
    fields = {"requested_network_view": None, "env": {}, "version": "", "endpoints": {}}
    assert sends_back.run(gateway_proxy(healthy(), errors={"node": "timed out"}, **fields)) == []


def test_a_gateway_may_list_its_own_pods_and_those_of_its_own_network():
    second = ProxyEndpoint(address="10.11.0.8", port=5000)
    assert sends_back.run(gateway_proxy(healthy(2), endpoints=inner(second))) == []
