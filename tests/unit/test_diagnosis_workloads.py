"""What must run and does not: API servers, pods, proxies, nodes, KubeFed; what does not go."""

from functools import cache

import pytest
import snapshots
from snapshot_objects import OWN, container, deployment, node, pod, service, thing
from snapshots import changed, edited, with_kind, with_object, without

from isthmus.diagnosis.analyzers import (
    deletions,
    federation,
    nodes,
    proxy_containers,
    workloads,
)

healthy = cache(snapshots.healthy)
"""One of each kind is enough: no test changes it."""
MODULES = (workloads, proxy_containers, nodes, deletions, federation)
CHECKS = [check for module in MODULES for check in module.ANALYZERS]
ALL = [(r, s, f) for r in (1, 2) for s in ("istio-1.31", "guide") for f in ("kubefed", "direct")]
KUBEFED = "kube-federation-system"


def found(snapshot):
    return [failure for check in CHECKS for failure in check.run(snapshot)]


def only(snapshot, failure_id):
    [failure] = found(snapshot)
    assert failure.id == failure_id
    return failure


def provided(snapshot, provider):
    return snapshot.model_copy(
        update={"environment": {**snapshot.environment, "provider": provider}}
    )


def federated(**settings):
    """Return a healthy mesh with the objects of KubeFed, as the host has them."""
    snapshot = healthy(**settings)
    for name in federation.DEPLOYMENTS:
        labels = {"app": name}
        made = deployment(name, KUBEFED, labels, [container("manager", "kubefed:v0.10.0")])
        snapshot = with_object(snapshot, "beijing", made)
        snapshot = with_object(
            snapshot, "beijing", pod(f"{name}-1", KUBEFED, labels, "10.10.0.30", [])
        )
    for cluster in snapshot.clusters:
        status = {"conditions": [{"type": "Ready", "status": "True", "reason": "ClusterReady"}]}
        member = thing("KubeFedCluster", cluster.name, KUBEFED, status=status)
        spec = {"apiEndpoint": cluster.server}
        snapshot = with_object(snapshot, "beijing", {**member, "spec": spec})
    for kind, namespace, name in federation.FEDERATED:
        reached = [{"name": c.name} for c in snapshot.clusters]
        status = {"conditions": [{"type": "Propagation", "status": "True"}], "clusters": reached}
        item = thing(kind, name, namespace, OWN, status=status)
        snapshot = with_object(snapshot, "beijing", item)
    return with_kind(snapshot, "beijing", "FederatedService", [])


@pytest.mark.parametrize(("remotes", "stack", "mode"), ALL)
def test_a_healthy_mesh_has_all_that_must_run(remotes, stack, mode):
    assert not found(healthy(remotes, stack, mode))
    assert not found(federated(remotes=remotes, stack=stack, federation=mode))


def test_a_mesh_without_kubefed_needs_none():
    snapshot = healthy(federation="direct")
    assert not found(with_kind(snapshot, "beijing", "KubeFedCluster", []))


# F44


def test_a_cluster_that_gives_no_answer_is_named_with_why():
    snapshot = changed(
        healthy(), "shanghai", reachable=False, unreachable_reason="connection refused", objects={}
    )
    failure = only(snapshot, "F44")
    assert failure.clusters == ("shanghai",)
    assert failure.evidence == ("https://172.16.1.10:6443: connection refused",)
    assert failure.fix == "isthmus up pair"
    assert only(provided(snapshot, "kubeconfig"), "F44").fix == (
        "kubectl --context shanghai get --raw /readyz"
    )


# F46


def unready(**status):
    def change(item):
        item["status"]["conditions"] = [{"type": "Ready", "status": "False"}]
        item["status"] |= status

    return change


def waiting(why, message="", **last):
    state = {"waiting": {"reason": why, "message": message}}
    told = {"name": "helloworld", "ready": False, "state": state, "restartCount": 4}
    if last:
        told["lastState"] = {"terminated": last}
    return unready(containerStatuses=[told])


def hello(change, snapshot=None):
    return edited(snapshot or healthy(), "shanghai", "Pod", "helloworld-7c-1", change)


@pytest.mark.parametrize(
    ("change", "words", "cause"),
    [
        (
            waiting("ImagePullBackOff", "manifest unknown"),
            "helloworld: ImagePullBackOff: manifest unknown",
            "cannot pull",
        ),
        (
            waiting("CrashLoopBackOff", "back-off", exitCode=1, reason="Error"),
            "CrashLoopBackOff: back-off (ended with exit code 1, Error)",
            "ends soon after each start",
        ),
        (
            unready(
                conditions=[
                    {
                        "type": "PodScheduled",
                        "status": "False",
                        "reason": "Unschedulable",
                        "message": "0/1 nodes are available: 1 Insufficient memory.",
                    }
                ],
                phase="Pending",
            ),
            "Unschedulable: 0/1 nodes are available: 1 Insufficient memory.",
            "no node takes the pod",
        ),
        (
            unready(containerStatuses=[{"name": "helloworld", "ready": False}]),
            "containers not ready: helloworld",
            "not ready",
        ),
    ],
)
def test_pods_that_do_not_run_say_why_in_their_own_words(change, words, cause):
    failure = only(hello(change), "F46")
    assert failure.clusters == ("shanghai",) and failure.severity == "error"
    assert failure.object == "Deployment sample/helloworld"
    assert any(words in fact for fact in failure.evidence)
    assert cause in failure.cause


def test_a_deployment_that_is_gone_is_made_again_by_up():
    snapshot = without(healthy(), "shanghai", "Deployment", "helloworld")
    failure = only(without(snapshot, "shanghai", "Pod", "helloworld-7c-1"), "F46")
    assert failure.cause == "there is no Deployment sample/helloworld"
    assert failure.fix == "isthmus up pair"


def test_a_deployment_that_is_scaled_to_0_is_scaled_up():
    snapshot = without(healthy(), "shanghai", "Pod", "helloworld-7c-1")
    snapshot = edited(
        snapshot, "shanghai", "Deployment", "helloworld", lambda d: d["spec"].update(replicas=0)
    )
    failure = only(snapshot, "F46")
    assert failure.cause == "the Deployment is scaled to 0" and failure.severity == "error"
    assert failure.fix == (
        "kubectl --context shanghai -n sample scale deployment/helloworld --replicas=1"
    )


def test_a_quota_that_refuses_pods_is_told_in_its_words():
    said = 'pods "helloworld-7c-" is forbidden: exceeded quota: small'

    def refused(item):
        condition = {"type": "ReplicaFailure", "status": "True", "message": said}
        item["status"]["conditions"] = [condition]

    snapshot = without(healthy(), "shanghai", "Pod", "helloworld-7c-1")
    failure = only(edited(snapshot, "shanghai", "Deployment", "helloworld", refused), "F46")
    assert any(said in fact for fact in failure.evidence)
    assert "describe resourcequotas" in failure.fix


def test_a_pod_that_no_node_takes_for_a_cordon_is_helped_by_uncordon():
    told = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "no"}
    snapshot = hello(unready(conditions=[told]))
    snapshot = edited(
        snapshot, "shanghai", "Node", "node-1", lambda n: n["spec"].update(unschedulable=True)
    )
    fixes = {f.id: f.fix for f in found(snapshot)}
    assert fixes == dict.fromkeys(("F46", "F52"), "kubectl --context shanghai uncordon node-1")


def test_a_missing_caller_is_a_warning():
    snapshot = without(healthy(), "shanghai", "Pod", "sleep-5b-1")
    failure = only(snapshot, "F46")
    assert failure.severity == "warning" and "the caller" in failure.evidence[0]


def test_one_ready_pod_of_two_is_enough():
    other = pod("helloworld-7c-2", "sample", {"app": "helloworld"}, "10.11.0.8", [])
    unready()(other)
    assert not found(with_object(healthy(), "shanghai", other))


def test_pods_that_could_not_be_listed_are_not_missing():
    assert not found(with_kind(healthy(), "shanghai", "Pod", None))


def test_a_users_service_need_not_run_in_every_cluster():
    ways = [("http", 80, 8080)]
    snapshot = healthy()
    for name in ("beijing", "shanghai"):
        item = service("shop", "shops", "10.9.9.9", ways, {"app": "shop"})
        snapshot = with_object(snapshot, name, item)
    [istiod] = snapshot.host.istiods
    shards = {**istiod.endpoint_shards, "shop.shops.svc.cluster.local": {"shops": {}}}
    istiods = [istiod.model_copy(update={"endpoint_shards": shards})]
    snapshot = changed(snapshot, "beijing", istiods=istiods)
    assert not found(snapshot)
    made = deployment("shop", "shops", {"app": "shop"}, [container("shop", "shop:1")])
    failure = only(with_object(snapshot, "beijing", made), "F46")
    assert failure.object == "Deployment shops/shop" and failure.severity == "error"


# F56


def proxied(state, ready=False, count=0, **last):
    def change(item):
        told = {"name": "istio-proxy", "ready": ready, "state": state, "restartCount": count}
        if last:
            told["lastState"] = {"terminated": last}
        item["status"]["containerStatuses"] = [
            told,
            *(s for s in item["status"]["containerStatuses"] if s["name"] != "istio-proxy"),
        ]

    return change


RUNS = {"running": {"startedAt": "2026-09-21T10:00:00Z"}}
AT_TWO = "2026-09-21T14:00:00Z"
"""13 minutes before the snapshot."""


def test_an_envoy_that_crashes_is_told_with_its_end():
    state = {"waiting": {"reason": "CrashLoopBackOff"}}
    change = proxied(state, count=7, exitCode=139, reason="Error", finishedAt=AT_TWO)
    failure = only(edited(healthy(), "shanghai", "Pod", "sleep-5b-1", change), "F56")
    assert failure.severity == "error" and failure.object == "Pod sample/sleep-5b-1"
    words = "istio-proxy: CrashLoopBackOff, restarted 7 times, last end: exit code 139, Error"
    assert words in failure.evidence[0]
    assert "-c istio-proxy --tail=50 --previous" in failure.fix


def test_an_envoy_that_was_killed_for_its_memory_lately_is_a_warning():
    change = proxied(RUNS, True, 1, exitCode=137, reason="OOMKilled", finishedAt=AT_TWO)
    name = "istio-eastwestgateway-6d-1"
    failure = only(edited(healthy(), "shanghai", "Pod", name, change), "F56")
    assert failure.severity == "warning" and failure.certain
    assert "resources.gateway" in failure.fix


def test_an_envoy_that_runs_for_hours_and_is_not_ready_is_an_error():
    failure = only(edited(healthy(), "shanghai", "Pod", "sleep-5b-1", proxied(RUNS)), "F56")
    assert "runs since 2026-09-21T10:00:00Z and is not ready" in failure.evidence[0]
    assert failure.cause.startswith("either") and not failure.certain


def test_a_native_sidecar_is_looked_at_too():
    def native(item):
        proxied(RUNS)(item)
        told = item["status"]["containerStatuses"].pop(0)
        item["status"]["initContainerStatuses"] = [told]

    assert only(edited(healthy(), "shanghai", "Pod", "sleep-5b-1", native), "F56")


@pytest.mark.parametrize(
    "change",
    [
        proxied({"running": {"startedAt": "2026-09-21T14:13:00Z"}}),
        proxied({"waiting": {"reason": "PodInitializing"}}),
        proxied(RUNS, True, 9, exitCode=1, finishedAt="2026-09-20T14:00:00Z"),
        proxied(RUNS, True, 1, exitCode=1, finishedAt=AT_TWO),
    ],
    ids=["just started", "starting", "restarted yesterday", "restarted once"],
)
def test_an_envoy_that_starts_or_did_badly_long_ago_is_fine(change):
    assert not found(edited(healthy(), "shanghai", "Pod", "sleep-5b-1", change))


# F52


def told(kind, status, reason="KubeletNotReady", message="the runtime is down"):
    entry = {"type": kind, "status": status, "reason": reason, "message": message}

    def change(item):
        others = [c for c in item["status"]["conditions"] if c["type"] != kind]
        item["status"]["conditions"] = [*others, entry]

    return change


@pytest.mark.parametrize("status", ["False", "Unknown"])
def test_a_node_that_is_not_ready_is_an_error_where_it_is_the_only_one(status):
    snapshot = edited(healthy(), "shanghai", "Node", "node-1", told("Ready", status))
    failure = only(snapshot, "F52")
    assert failure.severity == "error" and failure.object == "Node node-1"
    assert "the runtime is down" in failure.evidence[0]
    assert failure.fix == "isthmus up pair"
    assert "systemctl restart kubelet" in only(provided(snapshot, "kubeconfig"), "F52").fix
    more = with_object(snapshot, "shanghai", node("node-2", "shanghai"))
    assert only(more, "F52").severity == "warning"


@pytest.mark.parametrize("kind", ["MemoryPressure", "DiskPressure", "PIDPressure"])
def test_a_node_under_pressure_is_a_warning(kind):
    failure = only(edited(healthy(), "shanghai", "Node", "node-1", told(kind, "True")), "F52")
    assert failure.severity == "warning" and kind in failure.evidence[0]
    assert not found(edited(healthy(), "shanghai", "Node", "node-1", told(kind, "False")))


def test_one_cordoned_node_of_two_is_fine():
    snapshot = with_object(healthy(), "shanghai", node("node-2", "shanghai"))
    snapshot = edited(
        snapshot, "shanghai", "Node", "node-2", lambda n: n["spec"].update(unschedulable=True)
    )
    assert not found(snapshot)
    assert not found(with_kind(healthy(), "shanghai", "Node", None))


# F31


def deleted(moment="2026-09-21T13:00:00Z", finalizers=(), **status):
    def change(item):
        item["metadata"]["deletionTimestamp"] = moment
        item["metadata"]["finalizers"] = list(finalizers)
        item.setdefault("status", {}).update(status)

    return change


def test_an_object_with_a_finalizer_that_nobody_takes_away_is_freed():
    snapshot = edited(healthy(), "shanghai", "Service", "helloworld", deleted(finalizers=["x/y"]))
    failure = only(snapshot, "F31")
    assert failure.severity == "error" and "finalizers: x/y" in failure.evidence
    assert failure.fix == (
        "kubectl --context shanghai -n sample patch service helloworld --type=merge "
        """-p '{"metadata":{"finalizers":null}}'"""
    )


def test_an_object_of_kubefed_is_ended_by_kubefed_first():
    snapshot = edited(
        federated(),
        "beijing",
        "FederatedSecret",
        "cacerts",
        deleted(finalizers=["kubefed.io/sync-controller"]),
    )
    failure = only(snapshot, "F31")
    assert failure.fix.splitlines()[0].startswith("isthmus up pair")


REMAINING = {
    "type": "NamespaceContentRemaining",
    "status": "True",
    "message": "Some resources are remaining: federatedsecrets.types.kubefed.io has 1 resource "
    "instances, pods. has 2 resource instances",
}
DISCOVERY = {
    "type": "NamespaceDeletionDiscoveryFailure",
    "status": "True",
    "message": "Discovery failed for some groups, 1 failing: unable to retrieve the complete list "
    "of server APIs: metrics.k8s.io/v1beta1: the server is currently unable",
}


def test_a_namespace_that_hangs_tells_what_it_still_holds():
    change = deleted(phase="Terminating", conditions=[REMAINING])
    failure = only(edited(healthy(), "shanghai", "Namespace", "default", change), "F31")
    assert failure.severity == "warning"
    assert any("federatedsecrets.types.kubefed.io has 1" in fact for fact in failure.evidence)
    first = failure.fix.splitlines()[0]
    assert first.startswith(
        "kubectl --context shanghai -n default get federatedsecrets.types.kubefed.io -o name | "
        "xargs -n1 kubectl --context shanghai -n default patch --type=merge"
    )


def test_a_namespace_that_waits_for_an_api_names_the_apiservice():
    change = deleted(phase="Terminating", conditions=[REMAINING, DISCOVERY])
    failure = only(edited(healthy(), "shanghai", "Namespace", "sample", change), "F31")
    assert failure.severity == "error"
    assert failure.fix == "kubectl --context shanghai delete apiservice v1beta1.metrics.k8s.io"


def test_a_pod_whose_end_no_kubelet_tells_is_taken_away_by_force():
    stuck = pod("shop-1", "default", {}, "10.11.0.40", [])
    deleted()(stuck)
    failure = only(with_object(healthy(), "shanghai", stuck), "F31")
    assert failure.fix == (
        "kubectl --context shanghai -n default delete pod shop-1 --force --grace-period=0"
    )


def test_a_deletion_that_has_just_begun_is_none_that_hangs():
    change = deleted("2026-09-21T14:12:00Z", ["x/y"])
    assert not found(edited(healthy(), "shanghai", "Service", "helloworld", change))


def test_what_another_environment_made_is_told_of():
    other = thing("Service", "old", "istio-system", {"isthmus/environment": "trial"}, spec={})
    failure = only(with_object(healthy(), "shanghai", other), "F31")
    assert failure.severity == "warning" and failure.fix == "isthmus down trial"
    assert "Service istio-system/old" in failure.evidence[0]


# F55


@pytest.mark.parametrize("name", federation.DEPLOYMENTS)
def test_kubefed_without_a_ready_pod_carries_nothing(name):
    def stopped(item):
        item["spec"]["replicas"] = 0
        item["status"] = {}

    failure = only(edited(federated(), "beijing", "Deployment", name, stopped), "F55")
    assert failure.clusters == ("beijing",)
    assert failure.fix == (
        f"kubectl --context beijing -n {KUBEFED} scale deployment/{name} --replicas=1"
    )
    failure = only(without(federated(), "beijing", "Deployment", name), "F55")
    assert failure.fix == "isthmus up pair"


def test_a_member_that_is_not_ready_is_told_with_kubefeds_words():
    def offline(item):
        item["status"]["conditions"] = [
            {
                "type": "Offline",
                "status": "True",
                "reason": "ClusterNotReachable",
                "message": "cluster is not reachable",
            }
        ]

    failure = only(edited(federated(), "beijing", "KubeFedCluster", "shanghai", offline), "F55")
    assert failure.clusters == ("shanghai",)
    assert "apiEndpoint: https://172.16.1.10:6443" in failure.evidence
    assert any("ClusterNotReachable, cluster is not reachable" in e for e in failure.evidence)


def test_a_member_that_was_taken_out_is_joined_again():
    failure = only(without(federated(), "beijing", "KubeFedCluster", "shanghai"), "F55")
    assert failure.clusters == ("shanghai",) and failure.fix == "isthmus up pair"


@pytest.mark.parametrize(("kind", "namespace", "name"), federation.FEDERATED)
def test_an_object_that_is_no_longer_federated_is_named(kind, namespace, name):
    failure = only(without(federated(), "beijing", kind, name), "F55")
    assert failure.object == f"{kind} {namespace}/{name}"


def test_an_object_that_has_not_reached_a_member_is_told_with_why():
    def held(item):
        item["status"] = {
            "conditions": [{"type": "Propagation", "status": "False", "reason": "CheckClusters"}],
            "clusters": [{"name": "beijing"}, {"name": "shanghai", "status": "CreationFailed"}],
        }

    snapshot = edited(federated(), "beijing", "FederatedDeployment", "helloworld", held)
    failure = only(snapshot, "F55")
    assert failure.clusters == ("shanghai",)
    assert "Propagation is False, CheckClusters" in failure.evidence[0]
    assert "shanghai: CreationFailed" in failure.evidence
    assert "that member refuses the object" in failure.cause


def test_a_users_federated_service_is_looked_at_too():
    status = {"conditions": [{"type": "Propagation", "status": "False"}]}
    item = thing("FederatedService", "shop", "shops", status=status)
    assert only(with_object(federated(), "beijing", item), "F55").clusters == ("beijing",)


def test_a_host_without_kubefed_is_told_once():
    snapshot = healthy()
    for kind in ("KubeFedCluster", *{kind for kind, _, _ in federation.FEDERATED}):
        snapshot = with_kind(snapshot, "beijing", kind, [])
    assert only(snapshot, "F55").object == f"Namespace {KUBEFED}"


def test_a_clouds_own_federation_may_know_clusters_by_other_names():
    snapshot = provided(healthy(), "kce")
    status = {"conditions": [{"type": "Ready", "status": "True"}]}
    member = thing("KubeFedCluster", "cluster-81f2", KUBEFED, status=status)
    assert not found(with_object(snapshot, "beijing", member))


# shapes


@pytest.mark.parametrize(
    "shape",
    [
        {"spec": {}, "status": {}},
        {"spec": {"replicas": "x", "template": 3}, "status": {"conditions": [{}]}},
        {"status": {"containerStatuses": [{"name": "istio-proxy", "state": 3, "lastState": []}]}},
        {"status": {"containerStatuses": "x", "clusters": [3, {}]}},
    ],
)
@pytest.mark.parametrize(
    "kind", ["Pod", "Deployment", "Node", "Namespace", "KubeFedCluster", "FederatedSecret"]
)
def test_no_shape_of_an_object_raises(kind, shape):
    snapshot = federated()
    for name in ("beijing", "shanghai"):
        items = snapshot.cluster(name).objects.get(kind, [])
        found(with_kind(snapshot, name, kind, [{**item, **shape} for item in items]))
