"""Names: missing Services, cached NXDOMAINs, a DNS that does not answer, Services that differ."""

import json
from functools import cache

import pytest
import snapshots
from snapshot_objects import container, deployment, service, thing
from snapshots import NOW, changed, edited, with_kind, with_object, without

from isthmus.diagnosis.analyzers import cluster_dns, names, service_differences
from isthmus.diagnosis.objects import find
from isthmus.diagnosis.snapshot import NameLookup

HOST = "helloworld.sample.svc.cluster.local"
healthy = cache(snapshots.healthy)
"""One of each kind is enough: no test changes it."""
CHECKS = (*names.ANALYZERS, *cluster_dns.ANALYZERS, *service_differences.ANALYZERS)
JUST_NOW = "2026-09-21T14:13:10Z"
"""10 s before the snapshot."""
ALL = [(r, s, f) for r in (1, 2) for s in ("istio-1.31", "guide") for f in ("kubefed", "direct")]


def found(snapshot):
    return [failure for check in CHECKS for failure in check.run(snapshot)]


def only(snapshot, failure_id):
    [failure] = found(snapshot)
    assert failure.id == failure_id
    return failure


def lookup(error="", addresses=(), resolver="pod", cluster="shanghai"):
    return NameLookup(
        cluster=cluster, name=HOST, error=error, addresses=addresses, resolver=resolver
    )


def looked_up(snapshot, *lookups):
    return changed(snapshot, "shanghai", lookups=list(lookups))


@pytest.mark.parametrize(("remotes", "stack", "federation"), ALL)
def test_a_healthy_mesh_has_no_trouble_with_names(remotes, stack, federation):
    assert not found(healthy(remotes, stack, federation))


def test_a_service_that_a_remote_lacks_is_named_and_up_makes_it_again():
    failure = only(without(healthy(), "shanghai", "Service", "helloworld"), "F26")
    assert failure.clusters == ("shanghai",)
    assert failure.object == "Service sample/helloworld"
    assert "it is in beijing" in failure.evidence[0]
    assert failure.fix == "isthmus up pair"


def test_what_the_pod_was_told_is_evidence_of_a_missing_service():
    snapshot = without(healthy(), "shanghai", "Service", "helloworld")
    failure = only(looked_up(snapshot, lookup(f"Could not resolve host: {HOST}")), "F26")
    assert f"{HOST}: Could not resolve host: {HOST}" in failure.evidence


def test_a_namespace_that_is_gone_is_named_in_place_of_its_service():
    snapshot = without(healthy(), "shanghai", "Namespace", "sample")
    failure = only(without(snapshot, "shanghai", "Service", "helloworld"), "F26")
    assert failure.object == "Namespace sample"


def test_nothing_is_missing_where_it_could_not_be_listed():
    assert not found(with_kind(healthy(), "shanghai", "Service", None))


def test_a_cluster_that_gave_no_answer_lacks_nothing():
    assert not found(changed(healthy(), "shanghai", reachable=False, objects={}))


def looked_at_too(snapshot, *names):
    """Let a service of the user's own be looked at, and have it in these clusters."""
    ways = [("http", 80, 8080)]
    for name in names:
        item = service("shop", "shops", "10.9.9.9", ways, {"app": "shop"})
        space = thing("Namespace", "shops", status={"phase": "Active"})
        snapshot = with_object(with_object(snapshot, name, item), name, space)
    [istiod] = snapshot.host.istiods
    shards = {**istiod.endpoint_shards, "shop.shops.svc.cluster.local": {"shops": {}}}
    return changed(
        snapshot, "beijing", istiods=[istiod.model_copy(update={"endpoint_shards": shards})]
    )


def test_a_users_service_is_copied_to_the_cluster_that_lacks_it():
    failure = only(looked_at_too(healthy(), "beijing"), "F26")
    assert failure.clusters == ("shanghai",) and failure.severity == "warning"
    space, made = failure.fix.splitlines()
    assert space == "kubectl --context shanghai create namespace shops"
    assert made.endswith("| kubectl --context shanghai apply -f -")
    spec = json.loads(made.split("'")[1])["spec"]
    assert spec["selector"] == {"app": "shop"}
    assert spec["ports"] == [{"name": "http", "port": 80, "targetPort": 8080, "protocol": "TCP"}]


def test_a_users_service_that_all_clusters_have_is_fine():
    assert not found(looked_at_too(healthy(), "beijing", "shanghai"))


def test_a_name_that_was_asked_for_too_early_is_a_cached_nxdomain():
    snapshot = edited(healthy(), "shanghai", "Service", "helloworld", born(JUST_NOW))
    told = lookup(addresses=("10.101.0.7",), resolver="dns")
    failure = only(looked_up(snapshot, lookup(f"Could not resolve host: {HOST}"), told), "F37")
    assert "still cached" in failure.cause and failure.certain
    assert "Service sample/helloworld was created 10 s before" in failure.evidence
    assert failure.fix == "sleep 30; isthmus verify pair"


def born(moment):
    return lambda item: item["metadata"].update(creationTimestamp=moment)


def test_a_name_that_stays_unknown_for_long_is_no_cache():
    failure = only(looked_up(healthy(), lookup("NXDOMAIN")), "F37")
    assert failure.cause.startswith("either") and not failure.certain


def test_a_pod_that_could_not_be_asked_tells_nothing_of_names():
    said = "exec in sample/sleep-5b-1: error dialing backend: lookup node-1: no such host"
    assert not found(looked_up(healthy(), lookup(said)))


def test_a_look_up_of_which_only_the_connection_failed_tells_nothing_of_names():
    assert not found(looked_up(healthy(), lookup()))


def unready(pod):
    pod["status"]["conditions"] = [{"type": "Ready", "status": "False"}]
    waiting = {"reason": "CrashLoopBackOff", "message": "back-off 5m0s"}
    pod["status"]["containerStatuses"] = [
        {"name": "coredns", "ready": False, "state": {"waiting": waiting}}
    ]


def without_dns(snapshot):
    snapshot = edited(snapshot, "shanghai", "Pod", "coredns-1", unready)
    snapshot = edited(
        snapshot, "shanghai", "EndpointSlice", "kube-dns-abcde", lambda s: s.update(endpoints=[])
    )
    return looked_up(snapshot, lookup("Resolving timed out after 3000 milliseconds"))


def test_a_dns_without_a_ready_pod_is_named_with_the_pods_own_words():
    failure = only(without_dns(healthy()), "F51")
    assert failure.clusters == ("shanghai",) and failure.certain
    assert "Service kube-system/kube-dns has no ready endpoint" in failure.evidence
    assert any("CrashLoopBackOff: back-off 5m0s" in fact for fact in failure.evidence)
    assert failure.fix == "isthmus up pair"


def test_elsewhere_than_in_a_lab_the_dns_is_restarted_by_its_deployment():
    snapshot = without_dns(healthy())
    away = {**snapshot.environment, "provider": "kubeconfig"}
    failure = only(snapshot.model_copy(update={"environment": away}), "F51")
    assert failure.fix == (
        "kubectl --context shanghai -n kube-system rollout restart deployment/coredns"
    )


def test_a_dns_that_is_ready_and_silent_has_two_causes():
    failure = only(looked_up(healthy(), lookup("Resolving timed out after 3000 ms")), "F51")
    assert failure.cause.startswith("either") and not failure.certain


def test_a_dns_outside_the_cluster_may_leave_kube_dns_without_pods():
    snapshot = without_dns(healthy())
    assert not found(looked_up(snapshot, lookup(addresses=("10.101.0.7",))))


def port(**fields):
    return lambda item: item["spec"]["ports"][0].update(fields)


@pytest.mark.parametrize("name", ["beijing", "shanghai"])
def test_another_port_name_loses_the_endpoints_of_that_cluster(name):
    snapshot = edited(healthy(), name, "Service", "helloworld", port(name="web"))
    failure = only(snapshot, "F54")
    assert failure.clusters == (name,) and failure.severity == "error"
    assert "port 5000 is named 'web', which the sample names 'http'" in failure.evidence[0]
    assert failure.fix == "isthmus up pair"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (port(port=80), "port 'http' is 80, which is 5000 in the sample"),
        (port(name="x", port=80), "there is no port 5000 'http'"),
        (port(targetPort=5001), "port 5000 leads to 5001, which no container declares"),
        (port(targetPort="web"), "port 5000 leads to 'web', a name that no port has"),
        (lambda s: s["spec"].update(clusterIP="None"), "it is headless"),
        (lambda s: s["spec"].update(type="ExternalName"), "it is of type ExternalName"),
        (lambda s: s["spec"].update(selector={"app": "x"}), "its selector is app=x, but the pods"),
    ],
)
def test_a_service_that_differs_is_told_of(change, words):
    failure = only(edited(healthy(), "shanghai", "Service", "helloworld", change), "F54")
    assert any(words in fact for fact in failure.evidence)
    assert failure.severity == "error"


def test_another_app_protocol_is_a_warning():
    snapshot = edited(healthy(), "shanghai", "Service", "helloworld", port(appProtocol="tcp"))
    failure = only(snapshot, "F54")
    assert failure.severity == "warning"


def test_a_headless_service_is_deleted_before_it_is_made_again():
    snapshot = edited(
        healthy(), "shanghai", "Service", "helloworld", lambda s: s["spec"].update(clusterIP="None")
    )
    assert only(snapshot, "F54").fix.splitlines() == [
        "kubectl --context shanghai -n sample delete service helloworld",
        "isthmus up pair",
    ]


def test_one_more_port_in_one_cluster_is_no_failure():
    more = {"name": "metrics", "port": 9090, "targetPort": 5000, "protocol": "TCP"}
    snapshot = edited(
        healthy(), "shanghai", "Service", "helloworld", lambda s: s["spec"]["ports"].append(more)
    )
    assert not found(snapshot)


def test_a_users_service_is_compared_with_the_hosts_and_patched():
    snapshot = looked_at_too(healthy(), "beijing", "shanghai")
    snapshot = edited(snapshot, "shanghai", "Service", "shop", port(name="web"))
    failure = only(snapshot, "F54")
    assert "which beijing names 'http'" in failure.evidence[0]
    assert failure.fix.startswith(
        "kubectl --context shanghai -n shops patch service shop --type=merge -p "
    )


def test_a_selector_that_misses_the_deployment_of_its_name_is_seen_in_any_namespace():
    snapshot = looked_at_too(healthy(), "beijing", "shanghai")
    made = deployment("shop", "shops", {"app": "store"}, [container("shop", "shop:1")])
    failure = only(with_object(snapshot, "shanghai", made), "F54")
    assert (
        "its selector is app=shop, but the pods of Deployment shop have app=store"
        in (failure.evidence[0])
    )


@pytest.mark.parametrize("kind", ["Service", "Pod", "Namespace", "Deployment", "EndpointSlice"])
@pytest.mark.parametrize("shape", [{}, {"ports": "x", "selector": []}, {"ports": [None, {}]}])
def test_no_shape_of_an_object_raises(kind, shape):
    snapshot = healthy()
    items = snapshot.cluster("shanghai").objects[kind]
    strange = [{**item, "spec": shape, "endpoints": [{}, 3]} for item in items]
    found(with_kind(snapshot, "shanghai", kind, strange))


def test_taken_at_and_not_the_clock_tells_how_old_a_service_is():
    snapshot = edited(healthy(), "shanghai", "Service", "helloworld", born(JUST_NOW))
    later = looked_up(snapshot, lookup("NXDOMAIN")).model_copy(update={"taken_at": NOW + 3600})
    assert "was created 3610 s before" in " ".join(only(later, "F37").evidence)
    assert find(later.host, "Service", "helloworld", "sample")
