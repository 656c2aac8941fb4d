"""Kubernetes' own controllers that are not at work show by what nobody does any more."""

import datetime

import pytest
from snapshot_objects import thing
from snapshots import NOW, edited, healthy, with_object

from isthmus.diagnosis import analysis


def diagnose(snapshot, *only):
    return analysis.analyze(snapshot, analysis.select(only))


def moment(before):
    return f"{datetime.datetime.fromtimestamp(NOW - before, datetime.UTC):%FT%T.000000Z}"


def lease(name, before, space="kube-system"):
    return thing("Lease", name, space, spec={"renewTime": moment(before)})


def waiting(seconds, **status):
    pod = thing("Pod", "helloworld-new", "sample", {"app": "helloworld"}, spec={"containers": []})
    pod["metadata"]["creationTimestamp"] = moment(seconds)
    return {**pod, "status": {"phase": "Pending", **status}}


def test_a_pod_that_no_scheduler_looks_at_is_named_and_explains_what_is_not_ready():
    pods = healthy().cluster("shanghai").objects["Pod"]
    [name] = [p["metadata"]["name"] for p in pods if "helloworld" in p["metadata"]["name"]]

    def unseen(pod):
        pod["status"] = {"phase": "Pending"}
        pod["metadata"]["creationTimestamp"] = moment(40)
        del pod["spec"]["nodeName"]

    found = diagnose(edited(healthy(), "shanghai", "Pod", name, unseen))
    assert (found[0].id, found[0].clusters, found[0].object) == (
        "F59", ("shanghai",), "kube-scheduler")  # fmt: skip
    assert "Pending for 40 s, and no scheduler has looked at it" in found[0].evidence[0]
    [unready] = [f for f in found if f.id == "F46"]
    assert unready.explained_by == (found[0].key,)


@pytest.mark.parametrize(
    "pod",
    [
        waiting(5),
        waiting(300, conditions=[{"type": "PodScheduled", "status": "False", "reason": "x"}]),
    ],
)
def test_a_pod_that_is_new_or_that_no_node_takes_is_not_the_schedulers_fault(pod):
    assert not diagnose(with_object(healthy(), "shanghai", pod), "F59")


def test_a_deployment_that_tells_of_pods_that_are_gone_names_the_controller_manager():
    def lie(deployment):
        deployment["spec"]["replicas"] = deployment["status"]["replicas"] = 3

    [found] = diagnose(edited(healthy(), "shanghai", "Deployment", "helloworld", lie), "F59")
    assert found.object == "kube-controller-manager"
    assert "its status has 3 pods, and there are 1" in found.evidence[0]


def test_a_deployment_that_was_just_scaled_down_accuses_nobody():
    def scaled(deployment):
        deployment["status"]["replicas"] = 3

    assert not diagnose(edited(healthy(), "shanghai", "Deployment", "helloworld", scaled), "F59")


def test_a_pod_of_another_scheduler_is_that_ones_matter():
    own = waiting(300)
    own["spec"]["schedulerName"] = "volcano"
    assert not diagnose(with_object(healthy(), "shanghai", own), "F59")


def test_a_lease_that_is_not_renewed_while_others_are_is_told_by_the_clusters_own_clock():
    ill = healthy()
    # The cluster's clock is an hour behind: only what is late beside the others is late.
    for one in (
        lease("kube-scheduler", 3600 + 300),
        lease("kube-controller-manager", 3602),
        lease("node-1", 3605, "kube-node-lease"),
    ):
        ill = with_object(ill, "shanghai", one)
    [found] = diagnose(ill, "F59")
    assert found.severity == "warning", "it may be left of a program that runs without one"
    assert (found.object, found.evidence) == (
        "kube-scheduler",
        ("Lease kube-system/kube-scheduler was last renewed 4 minutes before others",),
    )


def test_clusters_whose_control_plane_shows_no_leases_are_taken_as_they_are():
    hidden = with_object(healthy(), "shanghai", lease("node-1", 3, "kube-node-lease"))
    assert not diagnose(hidden, "F59")
