"""Why pods will not run: what time cannot mend is told from what it can, in the cluster's words."""

import pytest
from fakes import limited

from isthmus.adapters import pod_failures, retrying, workloads
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
    found = pod_failures.of_deployment(refused(said), [])
    assert found.said == said and todo in found.hint and "NAMESPACE" not in found.hint


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
    assert pod_failures.of_deployment(refused(said), []) is None


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
        (unschedulable("0/2 nodes are available: 1 Insufficient cpu, 1 untolerated taint"), False),
        ({"status": {}}, False),
    ],
)
def test_a_pod_that_will_not_run_is_told_from_one_that_may(pod, final):
    assert bool(pod_failures.of_pod(pod)) is final


@pytest.fixture
def moments(monkeypatch):
    """A clock by which each wait of 0.2 s is one."""
    from isthmus import waiting

    now = [0.0]
    monkeypatch.setattr(waiting._stopped, "wait", lambda s: now.__setitem__(0, now[0] + s))
    monkeypatch.setattr(waiting.time, "monotonic", lambda: now[0])
    return now


def deployment(**status):
    meta = {"name": "istiod", "namespace": "s", "generation": 1}
    spec = {"replicas": 1, "selector": {"matchLabels": {"app": "istiod"}}}
    kind = {"apiVersion": "apps/v1", "kind": "Deployment"}
    return {**kind, "metadata": meta, "spec": spec, "status": status}


def test_a_wait_ends_in_seconds_for_what_time_cannot_mend(cluster, moments):
    client = cluster()
    client.put({**deployment(), "status": refused("exceeded quota: none")["status"]})
    with pytest.raises(
        Unprepared, match=r"Deployment s/istiod does not come to run: exceeded"
    ) as e:
        workloads.await_deployment(client, "istiod", "s")
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
        workloads.await_deployment(client, "istiod", "s")


def test_pods_that_our_own_webhook_refused_are_tried_again_and_not_minutes_later(cluster, moments):
    client = cluster()
    said = 'failed calling webhook "object.sidecar-injector.istio.io": connection refused'
    client.put({**deployment(), "status": refused(said)["status"]})

    def made(cluster, changed):
        if changed["metadata"].get("annotations", {}).get(retrying.TRIED):
            new = {"observedGeneration": 1, "updatedReplicas": 1, "replicas": 1}
            client.put(deployment(**new, availableReplicas=1, conditions=[]))
            changed["metadata"]["generation"] = 1

    client.reactions.append(made)
    workloads.await_deployment(client, "istiod", "s")
    assert moments[0] < 5
    assert client.writes == ["PATCH /apis/apps/v1/namespaces/s/deployments/istiod"]


def test_they_are_not_tried_again_all_the_time(cluster, moments):
    client = cluster()
    said = 'failed calling webhook "object.sidecar-injector.istio.io": connection refused'
    client.put({**deployment(), "status": refused(said)["status"]})
    with limited(deployment=4), pytest.raises(NotReady, match="connection refused"):
        workloads.await_deployment(client, "istiod", "s")
    assert len(client.writes) <= 2
