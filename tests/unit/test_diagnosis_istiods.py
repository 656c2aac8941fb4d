"""diagnose names why there is no control plane, or why it does not know what clusters have."""

import pytest
from snapshot_objects import pod as make_pod
from snapshots import NOW, changed, edited, healthy, probed, with_kind, without

from isthmus.diagnosis.analyzers import cluster_ids, control_plane, istiod_registries, istiods

MODULES = (istiods, control_plane, istiod_registries, cluster_ids)
POD = "istiod-5d4f8-x2x9k"
HELLOWORLD = "helloworld.sample.svc.cluster.local"


def diagnose(snapshot, wanted=""):
    every = [c for module in MODULES for c in module.ANALYZERS]
    found = [failure for check in every for failure in check.run(snapshot)]
    return [f for f in found if f.id == wanted] if wanted else found


def with_istiod(snapshot=None, **fields):
    snapshot = snapshot or healthy()
    istiod = snapshot.host.istiods[0].model_copy(update=fields)
    return changed(snapshot, "beijing", istiods=[istiod])


def with_env(snapshot=None, **env):
    snapshot = snapshot or healthy()
    return with_istiod(snapshot, env={**snapshot.host.istiods[0].env, **env})


def dead(snapshot, name="shanghai"):
    """Return a mesh in which a remote's API server answers nobody."""
    lost = {"connected": False, "error": "Connection timed out", "error_at": "tcp"}
    return probed(snapshot, lambda p: p.purpose == "api-server" and p.target == name, **lost)


def started(seconds_ago):
    return {"started_at": NOW - seconds_ago}


def written(snapshot, seconds_ago):
    secrets = [
        s.model_copy(update={"written_at": NOW - seconds_ago}) for s in snapshot.host.remote_secrets
    ]
    return changed(snapshot, "beijing", remote_secrets=secrets)


def shards(**more):
    return {HELLOWORLD: {"sample": {"Kubernetes/beijing": ["10.10.0.7"], **more}}}


@pytest.mark.parametrize("arguments", [(1,), (2,), (1, "guide"), (2, "istio-1.31", "direct")])
def test_a_healthy_mesh_has_no_finding(arguments):
    assert diagnose(healthy(*arguments)) == []


def test_an_istiod_that_waits_without_a_limit_for_a_dead_remote_is_named_with_the_remote():
    snapshot = with_env(dead(healthy(2)), PILOT_REMOTE_CLUSTER_TIMEOUT="0s")
    [found] = diagnose(with_istiod(snapshot, ready=False, **started(3600)), "F01")
    assert (found.clusters, found.severity) == (("beijing", "shanghai"), "error")
    assert found.evidence == (
        f"{POD} of beijing runs for 1 hour and is not Ready",
        "https://172.16.1.10:6443 of shanghai: Connection timed out",
        "PILOT_REMOTE_CLUSTER_TIMEOUT: 0s; Istio 1.31.0",
    )
    assert found.fix == (
        "kubectl --context beijing -n istio-system set env deployment/istiod "
        "PILOT_REMOTE_CLUSTER_TIMEOUT-"
    )


def test_an_istiod_within_its_limit_is_a_warning_and_beyond_it_waits_for_something_else():
    def waiting(seconds_ago):
        return with_istiod(dead(healthy()), ready=False, **started(seconds_ago))

    assert [f.severity for f in diagnose(waiting(20), "F01")] == ["warning"]
    assert diagnose(waiting(600), "F01") == []


def test_an_old_istiod_waits_for_ever():
    snapshot = with_istiod(dead(healthy(stack="guide")), ready=False, **started(3600))
    [found] = diagnose(snapshot, "F01")
    assert found.severity == "error"
    assert found.fix.splitlines() == [
        "kubectl --context beijing -n istio-system delete secret istio-remote-secret-shanghai",
        "# once shanghai answers again:",
        "isthmus up pair",
    ]


def test_an_istiod_that_is_not_ready_while_all_remotes_answer_waits_for_something_else():
    assert diagnose(with_istiod(ready=False), "F01") == []


def test_a_limit_of_0_is_a_warning_before_a_remote_dies():
    [found] = diagnose(with_env(PILOT_REMOTE_CLUSTER_TIMEOUT="0"))
    assert (found.id, found.severity) == ("F01", "warning")
    assert found.fix.endswith("set env deployment/istiod PILOT_REMOTE_CLUSTER_TIMEOUT-")
    assert diagnose(with_env(PILOT_REMOTE_CLUSTER_TIMEOUT="45s")) == []


def scaled(count):
    def change(item):
        item["spec"]["replicas"] = count

    snapshot = edited(healthy(), "beijing", "Deployment", "istiod", change)
    return without(snapshot, "beijing", "Pod", POD)


def test_a_control_plane_scaled_to_0_is_named_with_the_command_that_scales_it():
    [found] = diagnose(scaled(0))
    assert (found.id, found.clusters, found.certain) == ("F45", ("beijing",), True)
    assert found.cause == "the Deployment of istiod is scaled to 0"
    assert found.fix == (
        "kubectl --context beijing -n istio-system scale deployment/istiod --replicas=1"
    )


def test_a_deleted_control_plane_is_named():
    snapshot = without(scaled(1), "beijing", "Deployment", "istiod")
    [found] = diagnose(snapshot, "F45")
    assert found.fix == "isthmus up pair"
    assert "no Deployment" in found.evidence[0]


def test_a_control_plane_whose_pods_are_refused_is_told_in_the_refusals_words():
    def change(item):
        said = 'pods "istiod-x" is forbidden: exceeded quota: small'
        condition = {"type": "ReplicaFailure", "status": "True", "message": said}
        item["status"]["conditions"] = [condition]

    [found] = diagnose(edited(scaled(1), "beijing", "Deployment", "istiod", change), "F45")
    assert any("exceeded quota" in line for line in found.evidence)


@pytest.mark.parametrize(
    ("state", "word"),
    [
        ({"waiting": {"reason": "ImagePullBackOff", "message": "not found"}}, "image"),
        ({"waiting": {"reason": "CrashLoopBackOff"}}, "ends after its start"),
        ({"running": {}}, "readiness"),
    ],
)
def test_a_control_plane_that_does_not_run_is_told_by_its_pods_state(state, word):
    def change(item):
        item["status"]["conditions"] = [{"type": "Ready", "status": "False"}]
        item["status"]["containerStatuses"] = [
            {"name": "discovery", "ready": False, "state": state, "restartCount": 5}
        ]

    [found] = diagnose(edited(healthy(), "beijing", "Pod", POD, change), "F45")
    assert word in found.cause
    assert POD in found.evidence[0]


def test_a_pod_that_no_node_takes_is_told():
    def change(item):
        said = "0/1 nodes are available: 1 Insufficient memory."
        item["status"]["conditions"] = [
            {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": said}
        ]

    [found] = diagnose(edited(healthy(), "beijing", "Pod", POD, change), "F45")
    assert "Insufficient memory" in found.evidence[0]


def test_one_ready_replica_of_several_is_a_control_plane():
    def change(item):
        item["status"]["conditions"] = []

    snapshot = edited(healthy(), "beijing", "Pod", POD, change)
    second = make_pod("istiod-2", "istio-system", {"app": "istiod"}, "10.10.0.4", [])
    pods = [*snapshot.host.objects["Pod"], second]
    assert diagnose(with_kind(snapshot, "beijing", "Pod", pods), "F45") == []


def test_a_remote_with_an_istiod_of_its_own_needs_it_and_another_does_not():
    snapshot = without(healthy(stack="guide"), "shanghai", "Pod", POD)
    assert [f.clusters for f in diagnose(snapshot, "F45")] == [("shanghai",)]
    assert diagnose(with_kind(healthy(), "beijing", "Pod", None), "F45") == []


def test_a_replica_that_lacks_endpoints_is_named_with_them():
    snapshot = written(with_istiod(endpoint_shards=shards()), 90_000)
    [found] = diagnose(snapshot)
    assert (found.id, found.clusters) == ("F02", ("beijing", "shanghai"))
    assert found.object == f"Pod istio-system/{POD}"
    assert "lacks 10.11.0.7 of helloworld.sample.svc.cluster.local" in found.evidence[0]
    assert found.fix == f"kubectl --context beijing -n istio-system delete pod {POD}"
    assert not found.certain


def test_endpoints_are_also_read_as_istiod_itself_prints_them():
    def raw(*addresses):
        return [{"Addresses": [a], "ServicePortName": "http"} for a in addresses]

    def printed(**found):
        return {HELLOWORLD: {"sample": {"Shards": found, "ServiceAccounts": {}}}}

    every = {"Kubernetes/beijing": raw("10.10.0.7"), "Kubernetes/shanghai": raw("10.11.0.7")}
    assert diagnose(with_istiod(endpoint_shards=printed(**every))) == []
    old = {"beijing": [{"Address": "10.10.0.7"}], "shanghai": [{"Address": "10.11.0.7"}]}
    assert diagnose(with_istiod(endpoint_shards=printed(**old))) == []
    every["Kubernetes/shanghai"] = []
    assert len(diagnose(with_istiod(endpoint_shards=printed(**every)))) == 1


def test_of_two_replicas_the_one_that_lacks_something_is_named():
    snapshot = written(healthy(), 90_000)
    whole = snapshot.host.istiods[0]
    lacking = whole.model_copy(update={"pod": "istiod-2", "endpoint_shards": shards()})
    [found] = diagnose(changed(snapshot, "beijing", istiods=[whole, lacking]))
    assert found.object == "Pod istio-system/istiod-2"
    assert found.evidence[-1] == f"{POD} of the same istiod lacks nothing of shanghai"


def test_a_cluster_that_never_synced_is_told_in_clusterzs_words():
    states = [
        {"id": "beijing", "syncStatus": "synced"},
        {"id": "shanghai", "syncStatus": "timeout"},
    ]
    snapshot = written(with_istiod(clusters=states), 90_000)
    [found] = diagnose(snapshot)
    assert found.evidence[0] == f"/debug/clusterz of {POD}: shanghai is timeout"
    assert found.certain


def test_an_endpoint_that_has_just_become_ready_is_not_missing_yet():
    def fresh(item):
        moment = "2026-09-21T14:13:00Z"
        item["status"]["conditions"] = [
            {"type": "Ready", "status": "True", "lastTransitionTime": moment}
        ]

    snapshot = written(with_istiod(endpoint_shards=shards()), 90_000)
    assert diagnose(edited(snapshot, "shanghai", "Pod", "helloworld-7c-1", fresh)) == []


def test_an_endpoint_that_is_not_ready_is_not_missing():
    def unready(item):
        item["endpoints"][0]["conditions"]["ready"] = False

    snapshot = written(with_istiod(endpoint_shards=shards()), 90_000)
    assert (
        diagnose(edited(snapshot, "shanghai", "EndpointSlice", "helloworld-abcde", unready)) == []
    )


def test_a_namespace_that_istiod_is_told_not_to_look_at_is_not_missing():
    mesh = {"discoverySelectors": [{"matchLabels": {"istio-discovery": "enabled"}}]}
    snapshot = written(with_istiod(endpoint_shards=shards(), mesh=mesh), 90_000)
    assert diagnose(snapshot) == []


def test_a_gateway_that_istiod_does_not_know_is_named():
    networks = [n for n in healthy().host.istiods[0].networks if n["Cluster"] == "beijing"]
    [found] = diagnose(written(with_istiod(networks=networks), 90_000))
    assert found.evidence == (f"/debug/networkz of {POD} has no gateway 198.18.2.200",)


def test_a_changed_secret_that_was_not_taken_up_is_named_with_both_times():
    [found] = diagnose(with_istiod(endpoint_shards=shards()))
    assert (found.id, found.clusters) == ("F04", ("beijing", "shanghai"))
    assert found.evidence[-1] == (
        f"Secret written 2026-09-20 16:00:00 UTC, {POD} started 2026-09-20 14:20:00 UTC"
    )
    assert found.fix == (
        "kubectl --context beijing -n istio-system rollout restart deployment/istiod"
    )


def test_a_secret_of_this_minute_may_still_be_taken_up():
    assert diagnose(written(with_istiod(endpoint_shards=shards()), 20)) == []


def test_a_version_that_is_known_to_lose_endpoints_is_the_cause():
    [found] = diagnose(with_istiod(endpoint_shards=shards(), version="1.30.3"), "F04")
    assert "istio#61043" in found.cause and found.certain


def test_a_version_that_breaks_on_a_changed_secret_is_a_warning_while_nothing_is_missing():
    [found] = diagnose(with_istiod(version="1.30.1"))
    assert (found.id, found.severity, found.certain) == ("F35", "warning", False)
    assert "istio#60612" in found.cause
    assert diagnose(written(with_istiod(version="1.30.1"), 90_000)) == []
    assert diagnose(with_istiod(version="1.30.4")) == []


def test_questions_that_istiod_did_not_answer_say_nothing():
    assert diagnose(with_istiod(clusters=None, endpoint_shards=None, networks=None)) == []


def injector_path(path):
    def change(item):
        for hook in item["webhooks"]:
            hook["clientConfig"]["service"]["path"] = path

    name = "istio-sidecar-injector"
    return edited(healthy(), "shanghai", "MutatingWebhookConfiguration", name, change)


def test_an_injector_that_gives_another_id_is_named_with_who_gives_which():
    snapshot = injector_path("/inject/cluster/hangzhou/net/network2")
    [found] = diagnose(snapshot)
    assert (found.id, found.clusters) == ("F07", ("shanghai",))
    assert found.evidence[0] == (
        "hangzhou: the path of MutatingWebhookConfiguration istio-sidecar-injector"
    )
    assert "the key of Secret istio-system/istio-remote-secret-shanghai" in found.evidence[1]
    assert found.fix == "isthmus up pair"


def test_a_remote_secret_with_another_key_than_the_proxies_id_is_named():
    snapshot = healthy()
    [secret] = snapshot.host.remote_secrets
    other = secret.model_copy(update={"key": "hangzhou", "name": "handmade"})
    snapshot = changed(snapshot, "beijing", remote_secrets=[other])
    [found] = diagnose(snapshot, "F07")
    assert any(line.startswith("hangzhou: the key of Secret") for line in found.evidence)
    assert found.fix.splitlines() == [
        "kubectl --context beijing -n istio-system delete secret handmade",
        "isthmus up pair",
    ]


def test_a_pod_injected_with_an_old_id_is_named_with_its_restart():
    def old(item):
        for variable in item["spec"]["initContainers"][0]["env"]:
            if variable["name"] == "ISTIO_META_CLUSTER_ID":
                variable["value"] = "kubernetes"

    log = 'client claims to be in cluster "kubernetes", but we only know about local cluster'
    snapshot = edited(healthy(), "shanghai", "Pod", "sleep-5b-1", old)
    [found] = diagnose(with_istiod(snapshot, log=(log,)))
    assert found.object == "Pod sample/sleep-5b-1"
    assert f"istiod's log: {log}" in found.evidence
    assert found.fix == "kubectl --context shanghai -n sample rollout restart deployment/sleep"


def test_a_second_secret_of_a_cluster_is_another_failure():
    snapshot = healthy()
    [secret] = snapshot.host.remote_secrets
    second = secret.model_copy(update={"key": "hangzhou", "name": "handmade"})
    snapshot = changed(snapshot, "beijing", remote_secrets=[secret, second])
    assert diagnose(snapshot, "F07") == []
