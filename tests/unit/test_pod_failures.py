"""Why pods will not run: what time cannot mend is told from what it can, in the cluster's words."""

from datetime import UTC, datetime, timedelta

import pytest
from fakes import limited

from isthmus.adapters import load_balancer_failures, pod_failures, readiness, replicaset_backoff
from isthmus.errors import NotReady, Unprepared


def refused(message):
    condition = {"type": "ReplicaFailure", "status": "True", "message": message}
    meta = {"name": "istiod", "namespace": "istio-system"}
    return {"metadata": meta, "status": {"conditions": [condition]}}


def waits(reason, message="", image="registry.example/pilot:1.31"):
    state = {"waiting": {"reason": reason, "message": message}}
    return {
        "status": {"containerStatuses": [{"name": "discovery", "image": image, "state": state}]}
    }


def unschedulable(message):
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}
    return {"status": {"conditions": [{**condition, "message": message}]}}


def stopped(reason, message):
    """A container that is started again at growing intervals, and why it ended last."""
    pod = waits("CrashLoopBackOff", "back-off 10s restarting failed container")
    [container] = pod["status"]["containerStatuses"]
    container["lastState"] = {"terminated": {"reason": reason, "message": message}}
    return pod


@pytest.mark.parametrize(
    ("said", "todo"),
    [
        ('pods "istiod-1" is forbidden: exceeded quota: none, requested: pods=1', "ResourceQuota"),
        ('pods "istiod-1" is forbidden: failed quota: q: must specify limits.cpu', "ResourceQuota"),
        (
            'pods "x" is forbidden: violates PodSecurity "baseline:latest": non-default '
            "capabilities (container istio-init must not include NET_ADMIN)",
            "pod-security.kubernetes.io/enforce: privileged",
        ),
        (
            'admission webhook "validate.kyverno.svc-fail" denied the request: no latest tag',
            "exception",
        ),
        (
            "ValidatingAdmissionPolicy 'limits' with binding 'all' denied request: no limits",
            "exception",
        ),
        (
            'Internal error occurred: failed calling webhook "gone.example.com": failed to call '
            'webhook: Post "https://gone.x.svc:443/": service "gone" not found',
            "webhook configuration",
        ),
        ('pods "x" is forbidden: maximum memory usage per Container is 64Mi', "LimitRange"),
    ],
)
def test_a_refusal_that_stays_is_told_with_what_to_do(said, todo):
    found = pod_failures.deployment_failure(refused(said), [])
    assert found.message == said and todo in found.hint and "NAMESPACE" not in found.hint


@pytest.mark.parametrize(
    "said",
    [
        'pods "x" is forbidden: error looking up service account s/default: not found',
        'failed calling webhook "namespace.sidecar-injector.istio.io": service "istiod" not found',
        'failed calling webhook "other.example.com": connect: connection refused',
        "",
    ],
)
def test_a_refusal_that_may_pass_is_waited_for(said):
    assert pod_failures.deployment_failure(refused(said), []) is None


@pytest.mark.parametrize(
    ("pod", "final"),
    [
        (waits("ErrImagePull", "registry.example/pilot:1.31: not found"), True),
        (waits("ImagePullBackOff", "pull access denied, repository does not exist"), True),
        (waits("ImagePullBackOff", "unexpected status: 401 Unauthorized"), True),
        (waits("ErrImageNeverPull"), True),
        (waits("InvalidImageName"), True),
        (waits("ErrImagePull", "dial tcp: i/o timeout"), False),
        (waits("ErrImagePull", "dial tcp 10.0.0.1:40301: i/o timeout"), False),
        (waits("ErrImagePull", "lookup registry: server misbehaving; host not found"), False),
        (waits("ImagePullBackOff", "unexpected status: 503 Service Unavailable"), False),
        (waits("ImagePullBackOff", "Back-off pulling image"), False),
        (waits("ContainerCreating"), False),
        (waits("CrashLoopBackOff", "back-off 10s restarting failed container"), False),
        (unschedulable("0/1 nodes are available: 1 node(s) were unschedulable."), True),
        (unschedulable("0/1 nodes are available: 1 node(s) had untolerated taint {a: b}."), True),
        (
            unschedulable(
                "0/1 nodes are available: 1 node(s) had untolerated taint "
                "{node.kubernetes.io/not-ready: }."
            ),
            False,
        ),
        (
            unschedulable(
                "0/2 nodes are available: 1 node(s) had taint {node.kubernetes.io/unreachable: }, "
                "that the pod didn't tolerate, 1 node(s) were unschedulable."
            ),
            False,
        ),
        (unschedulable("0/2 nodes are available: 1 Too many pods, 1 Insufficient cpu."), True),
        (unschedulable("0/1 nodes are available: 1 node(s) didn't match node selector."), True),
        (
            unschedulable(
                "0/3 nodes are available: 1 Too many pods, 2 node(s) didn't match Pod's node "
                "affinity/selector. preemption: 0/3 nodes are available: 3 Preemption is not "
                "helpful for scheduling."
            ),
            True,
        ),
        (
            unschedulable(
                "0/2 nodes are available: 1 Insufficient cpu, 1 node(s) didn't find available "
                "persistent volumes to bind."
            ),
            False,
        ),
        (unschedulable("pod has unbound immediate PersistentVolumeClaims"), False),
        (waits("CreateContainerConfigError", 'secret "db" not found'), True),
        (waits("CreateContainerConfigError", "couldn't find key a in ConfigMap s/c"), True),
        (
            waits(
                "CreateContainerConfigError",
                "container has runAsNonRoot and image will run as root",
            ),
            True,
        ),
        (
            waits(
                "CreateContainerConfigError",
                "failed to sync secret cache: timed out waiting for the condition",
            ),
            False,
        ),
        (waits("CreateContainerError", "failed to generate spec: no command specified"), True),
        (waits("CreateContainerError", "context deadline exceeded"), False),
        (
            waits("CreateContainerError", 'name "x" is reserved for "y"'),
            False,
        ),
        (
            waits("RunContainerError", 'exec: "/bin/x": stat /bin/x: no such file or directory'),
            True,
        ),
        (stopped("StartError", 'exec: "x": executable file not found in $PATH'), True),
        (stopped("Error", "executable file not found"), False),
        (stopped("OOMKilled", ""), False),
        ({"status": {}}, False),
    ],
)
def test_a_pod_that_will_not_run_is_told_from_one_that_may(pod, final):
    assert bool(pod_failures.pod_failure(pod)) is final


@pytest.fixture
def moments(monkeypatch):
    """A clock by which each wait of 0.2 s is one."""
    from isthmus import polling

    now = [0.0]
    monkeypatch.setattr(polling.time, "monotonic", lambda: now[0])
    with polling.stoppable():
        stopped = polling._stopped.get()
        monkeypatch.setattr(stopped, "wait", lambda s: now.__setitem__(0, now[0] + s))
        yield now


def deployment(**status):
    meta = {"name": "istiod", "namespace": "s", "generation": 1}
    spec = {"replicas": 1, "selector": {"matchLabels": {"app": "istiod"}}}
    kind = {"apiVersion": "apps/v1", "kind": "Deployment"}
    return {**kind, "metadata": meta, "spec": spec, "status": status}


def test_a_wait_ends_in_seconds_for_what_time_cannot_mend(cluster, moments):
    client = cluster()
    client.put({**deployment(), "status": refused("exceeded quota: none")["status"]})
    with pytest.raises(Unprepared, match=r"Deployment s/istiod cannot become ready: exceeded") as e:
        readiness.await_deployment(client, "istiod", "s")
    assert moments[0] < 10 and e.value.cluster == "beijing" and "resourcequota -n s" in e.value.hint


def test_a_refusal_of_a_moment_ends_no_wait(cluster, moments):
    client = cluster()
    client.put({**deployment(), "status": refused("exceeded quota: none")["status"]})
    ask = client.request

    def request(method, path, body=None, content=""):
        if moments[0] > 3:
            client.put(deployment(conditions=[]))
        return ask(method, path, body, content)

    client.request = request
    with limited(deployment=30), pytest.raises(NotReady):
        readiness.await_deployment(client, "istiod", "s")


def test_pods_that_our_own_webhook_refused_are_tried_again_and_not_minutes_later(cluster, moments):
    client = cluster()
    said = 'failed calling webhook "object.sidecar-injector.istio.io": connection refused'
    client.put({**deployment(), "status": refused(said)["status"]})

    def made(cluster, changed):
        if changed["metadata"].get("annotations", {}).get(replicaset_backoff.TRIED):
            new = {"observedGeneration": 1, "updatedReplicas": 1, "replicas": 1}
            client.put(deployment(**new, availableReplicas=1, conditions=[]))
            changed["metadata"]["generation"] = 1

    client.reactions.append(made)
    readiness.await_deployment(client, "istiod", "s")
    assert moments[0] < 5
    assert client.writes == ["PATCH /apis/apps/v1/namespaces/s/deployments/istiod"]


def test_they_are_not_tried_again_all_the_time(cluster, moments):
    client = cluster()
    said = 'failed calling webhook "object.sidecar-injector.istio.io": connection refused'
    client.put({**deployment(), "status": refused(said)["status"]})
    with limited(deployment=4), pytest.raises(NotReady, match="connection refused"):
        readiness.await_deployment(client, "istiod", "s")
    assert len(client.writes) <= 2


FULL = (
    "0/1 nodes are available: 1 Too many pods. preemption: 0/1 nodes are available: 1 No victims."
)
ELSEWHERE = "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector."
TAINTED = "0/1 nodes are available: 1 node(s) had untolerated taint(s)."


def placeless(client, said, node=None, events=()):
    """Put a Deployment there whose pod no node takes, as the API server has both."""
    client.put(deployment())
    meta = {"name": "istiod-1", "namespace": "s", "labels": {"app": "istiod"}}
    client.put({"apiVersion": "v1", "kind": "Pod", "metadata": meta, **unschedulable(said)})
    client.put({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n"}, "spec": node or {}})
    for number, (reason, message) in enumerate(events):
        tell(client, "Pod", "istiod-1", reason, message, number, type="Normal")


def tell(client, kind, name, reason, message, number=0, **more):
    meta = {"name": f"e{number}", "namespace": "s", "resourceVersion": str(number)}
    about = {"kind": kind, "name": name, "namespace": "s"}
    event = {"apiVersion": "v1", "kind": "Event", "metadata": meta, "involvedObject": about}
    event |= {"source": {"component": "a-controller"}, "type": "Warning"}
    client.put({**event, "reason": reason, "message": message, **more})


CLOUDS = {"providerID": "aws:///eu-1/i-1"}
NONE = [("NotTriggerScaleUp", "pod didn't trigger scale-up: 1 max node group size reached")]
LATER = [("NotTriggerScaleUp", "pod didn't trigger scale-up: 1 in backoff after failed scale-up")]


@pytest.mark.parametrize(
    ("said", "node", "events", "seconds"),
    [
        (ELSEWHERE, None, [], 10),
        (TAINTED, None, [], 10),
        (TAINTED, CLOUDS, [], 10),
        (FULL, CLOUDS, NONE, 10),
        (FULL, None, [], 50),
        (FULL, CLOUDS, LATER, 50),
        (ELSEWHERE, CLOUDS, [], 50),
    ],
)
def test_a_pod_that_no_node_will_take_is_not_waited_for(
    cluster, moments, said, node, events, seconds
):
    client = cluster()
    placeless(client, said, node, events)
    with pytest.raises(Unprepared, match="Deployment s/istiod cannot become ready: 0/1") as caught:
        readiness.await_deployment(client, "istiod", "s")
    assert seconds - 10 <= moments[0] <= seconds and "node" in caught.value.hint


@pytest.mark.parametrize(
    ("said", "node", "events"),
    [
        (FULL, CLOUDS, [("TriggeredScaleUp", "pod triggered scale-up: [{pool 1->2 (max: 3)}]")]),
        (ELSEWHERE, CLOUDS, [("Nominated", "Pod should schedule on: nodeclaim/default-x")]),
        (TAINTED, CLOUDS, [("ProvisionNode", "Provision node asa-x")]),
        (TAINTED, {"taints": [{"key": "node.kubernetes.io/not-ready"}]}, []),
    ],
)
def test_a_pod_for_which_a_node_comes_is_waited_for(cluster, moments, said, node, events):
    client = cluster()
    placeless(client, said, node, events)
    with limited(deployment=120), pytest.raises(NotReady, match="0/1 nodes are available"):
        readiness.await_deployment(client, "istiod", "s")


NOW = datetime(2026, 11, 27, 6, 0, tzinfo=UTC)
QUOTA = "Error syncing load balancer: googleapi: Error 403: QUOTA_EXCEEDED"


def ago(seconds):
    return (NOW - timedelta(seconds=seconds)).isoformat().replace("+00:00", "Z")


@pytest.mark.parametrize(
    ("reason", "message", "final"),
    [
        ("SyncLoadBalancerFailed", QUOTA, True),
        ("SyncLoadBalancerFailed", "UnauthorizedOperation: You are not authorized", True),
        ("FailedDeployModel", "AccessDenied: not allowed to perform CreateLoadBalancer", True),
        ("AllocationFailed", 'Failed to allocate IP for "s/gateway": no available IPs', True),
        ("SyncLoadBalancerFailed", "Error syncing load balancer: i/o timeout", False),
        ("SyncLoadBalancerFailed", "RequestLimitExceeded: Request limit exceeded.", False),
        ("SyncLoadBalancerFailed", "Quota exceeded for 'Queries' per minute", False),
    ],
)
def test_a_load_balancer_that_will_not_come_is_told_in_the_clouds_words(
    cluster, moments, monkeypatch, reason, message, final
):
    monkeypatch.setattr(load_balancer_failures, "datetime", Clock)
    client = cluster()
    tell(client, "Service", "gateway", reason, message, lastTimestamp=ago(20))
    kind = Unprepared if final else NotReady
    with limited(load_balancer=60), pytest.raises(kind) as caught:
        readiness.await_address(client, "gateway", "s")
    if final:
        assert message in caught.value.message and moments[0] < 10
        assert "kubectl describe service -n s gateway" in caught.value.hint


class Clock(datetime):
    @classmethod
    def now(cls, tz=None):
        return NOW


def test_what_was_said_before_somebody_raised_the_quota_ends_no_wait(cluster, moments, monkeypatch):
    monkeypatch.setattr(load_balancer_failures, "datetime", Clock)
    client = cluster()
    told = {"lastTimestamp": ago(300)}
    tell(client, "Service", "gateway", "SyncLoadBalancerFailed", QUOTA, **told)
    with limited(load_balancer=30), pytest.raises(NotReady):
        readiness.await_address(client, "gateway", "s")
    ask = client.request

    def request(method, path, body=None, content=""):
        if moments[0] > 40:  # it is said again
            client.store["v1", "events", "s", "e0"]["metadata"]["resourceVersion"] = "1"
        return ask(method, path, body, content)

    client.request = request
    with limited(load_balancer=60), pytest.raises(Unprepared, match="QUOTA_EXCEEDED"):
        readiness.await_address(client, "gateway", "s")
    assert 45 < moments[0] < 50
