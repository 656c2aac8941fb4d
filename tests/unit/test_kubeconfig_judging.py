"""What is seen in clusters that exist, judged: addresses, rights, room, leftovers, calls."""

import pickle
import re
from pathlib import Path

import pytest
import yaml

from isthmus import errors
from isthmus.adapters import diff
from isthmus.adapters.diff import ENVIRONMENT_LABEL, KEEP
from isthmus.environment import Environment
from isthmus.errors import BadEnvironment, ClusterUnreachable, NotReady, Rejected, Unprepared
from isthmus.providers.kubeconfig import (
    addresses,
    capacity,
    conflicts,
    rbac,
    reachability,
    requirements,
)
from isthmus.providers.kubeconfig.conflicts import ClusterContent

PAGE = Path(__file__).parents[2] / "docs/kubeconfig.md"


@pytest.mark.parametrize(
    ("server", "kind"),
    [
        ("https://127.0.0.1:6443", "loopback"),
        ("https://127.8.9.10", "loopback"),
        ("https://localhost:6443", "loopback"),
        ("https://LOCALHOST.:6443", "loopback"),
        ("https://kind.localhost", "loopback"),
        ("https://[::1]:6443", "loopback"),
        ("https://[::ffff:127.0.0.1]:6443", "loopback"),
        ("https://0.0.0.0:6443", "unspecified"),
        ("https://[::]:6443", "unspecified"),
        ("https://10.0.0.1:6443", "private"),
        ("https://172.31.0.1", "private"),
        ("https://192.168.1.1/k8s/clusters/c-1", "private"),
        ("https://169.254.1.1", "private"),
        ("https://100.64.0.1", "private"),
        ("https://[fd00::1]:6443", "private"),
        ("https://[fe80::1%25eth0]:6443", "private"),
        ("https://172.32.0.1", ""),
        ("https://100.128.0.1", ""),
        ("https://8.8.8.8:6443", ""),
        ("https://[2001:4860:4860::8888]:6443", ""),
        ("https://api.example.com:6443", ""),
        ("https://127.0.0.1.example.com", ""),
    ],
)
def test_a_servers_address_is_of_a_kind(server, kind):
    assert addresses.classify_address(server) == kind


def test_a_server_on_loopback_is_refused_with_the_key_that_helps():
    [found] = addresses.unusable("south", "https://127.0.0.1:6443", "pods of north")
    assert isinstance(found, BadEnvironment) and found.cluster == "south"
    assert "loopback" in found.message and "pods of north" in found.message
    assert "`server: https://" in found.hint


def test_a_private_address_is_not_refused_unasked():
    assert addresses.unusable("south", "https://10.0.0.1:6443", "pods of north") == []


def test_rights_that_lack_are_named_one_by_one():
    missing = [rbac.Permission("create", "roles", rbac.RBAC), rbac.Permission("get", "pods", "")]
    [found] = rbac.missing_permission_errors("south", missing)
    assert "create roles (rbac.authorization.k8s.io), get pods (core)" in found.message
    assert found.cluster == "south" and "docs/kubeconfig.md" in found.hint
    assert rbac.missing_permission_errors("south", []) == []


def test_a_question_about_a_part_of_a_resource_names_both():
    asked = rbac.Permission("create", "pods/exec", "").review["spec"]["resourceAttributes"]
    assert (asked["resource"], asked["subresource"]) == ("pods", "exec")


def test_only_the_host_of_a_federation_needs_rights_on_its_kinds():
    def groups(**role):
        return {rule.group for rule in rbac.required_rules(**role)}

    both = {"core.kubefed.io", "types.kubefed.io"}
    assert both <= groups(host=True, kubefed=True, istiod=True)
    assert not both & groups(host=False, kubefed=True, istiod=False)
    assert not both & groups(host=True, kubefed=False, istiod=True)
    assert "networking.istio.io" not in groups(host=False, kubefed=True, istiod=False)
    assert "networking.istio.io" in groups(host=False, kubefed=True, istiod=True)


def test_the_page_shows_the_role_that_is_asked_for():
    blocks = re.findall(r"^```yaml\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    [role] = [d for d in map(yaml.safe_load, blocks) if d.get("kind") == "ClusterRole"]
    roles = [(True, True), (False, True), (False, False)]
    wanted = {
        r for host, i in roles for r in rbac.required_rules(host=host, kubefed=True, istiod=i)
    }
    shown = [
        rbac.PolicyRule(group, tuple(r["resources"]), tuple(r["verbs"]))
        for r in role["rules"]
        for group in r["apiGroups"]
    ]
    assert set(shown) == wanted and len(shown) == len(wanted)


@pytest.mark.parametrize(
    ("text", "number"),
    [("2", 2), ("500m", 0.5), ("0.1", 0.1), ("1e3", 1000), ("128Mi", 128 * 2**20), ("8G", 8e9),
     ("3920332Ki", 3920332 * 1024), ("100n", 1e-7), ("250u", 0.00025), ("1Ti", 2**40)],
)  # fmt: skip
def test_quantities_are_read(text, number):
    assert float(diff.parse_quantity(text)) == pytest.approx(number)


def node(name="n", cpu="4", memory="8Gi", **spec):
    size = {"cpu": cpu, "memory": memory}
    meta = {"name": name}
    return {"metadata": meta, "spec": spec, "status": {"allocatable": size, "capacity": size}}


def pod(cpu, memory, on="n", phase="Running", first=()):
    def containers(amounts):
        return [{"resources": {"requests": {"cpu": c, "memory": m}}} for c, m in amounts]

    spec = {"nodeName": on, "containers": containers([(cpu, memory)])}
    return {"spec": {**spec, "initContainers": containers(first)}, "status": {"phase": phase}}


def left(*pods, nodes=None):
    return capacity.free_per_node(nodes or [node()], pods)


def test_what_pods_of_others_request_is_not_free():
    assert left(pod("1", "2Gi"), pod("500m", "1Gi")) == [
        capacity.parse_resources({"cpu": "2500m", "memory": "5Gi"})
    ]


def test_pods_that_have_ended_or_are_elsewhere_take_no_room():
    gone = [pod("4", "8Gi", phase="Succeeded"), pod("4", "8Gi", phase="Failed")]
    assert left(*gone, pod("4", "8Gi", on="")) == [
        capacity.parse_resources({"cpu": "4", "memory": "8Gi"})
    ]


def test_a_large_init_container_counts():
    first = [("3", "1Gi")]
    assert left(pod("1", "2Gi", first=first)) == [
        capacity.parse_resources({"cpu": "1", "memory": "6Gi"})
    ]


@pytest.mark.parametrize(
    "spec",
    [{"unschedulable": True}, {"taints": [{"key": "a", "effect": "NoSchedule"}]}],
)
def test_nodes_that_take_no_pods_give_no_room(spec):
    assert left(nodes=[node(**spec)]) == []
    [found] = capacity.find_insufficient_capacity("south", [], [])
    assert "no schedulable node" in found.message


def test_a_taint_that_only_prefers_hinders_nobody():
    taints = [{"key": "a", "effect": "PreferNoSchedule"}]
    assert len(left(nodes=[node(taints=taints)])) == 1


def test_too_little_room_says_what_there_is_and_what_is_needed():
    small = capacity.parse_resources({"cpu": "1", "memory": "1Gi"})
    [found] = capacity.find_insufficient_capacity(
        "south", [small], [capacity.parse_resources({"cpu": "500m", "memory": "2Gi"})]
    )
    assert "1.00 cores, 1.00 GiB left" in found.message
    assert "requests 0.50 cores, 2.00 GiB" in found.message and "resources" in found.hint


def test_the_largest_pod_must_find_one_node():
    halves = [capacity.parse_resources({"cpu": "1", "memory": "1.5Gi"})] * 2
    [found] = capacity.find_insufficient_capacity(
        "south", halves, [capacity.parse_resources({"cpu": "500m", "memory": "2Gi"})]
    )
    assert "no node has" in found.message
    assert (
        capacity.find_insufficient_capacity(
            "south", halves, [capacity.parse_resources({"cpu": "1", "memory": "1Gi"})] * 2
        )
        == []
    )


@pytest.mark.parametrize(
    ("cpu", "memory", "fits"),
    [("4", "7934216Ki", True), ("2", "16Gi", False), ("8", "4Gi", False)],
)
def test_a_host_is_as_large_as_its_stack_says(cpu, memory, fits):
    wanted = capacity.parse_resources({"cpu": "4", "memory": "8G"})
    found = capacity.find_undersized_host("north", [node(cpu=cpu, memory=memory)], wanted, "guide")
    assert (found == []) is fits


def environment(**more):
    def cluster(name):
        return {"name": name, "kubeconfig": f"/{name}", "context": name}

    clusters = {"host": cluster("north"), "remotes": [cluster("south")]}
    return Environment.model_validate(
        {"name": "pair", "provider": "kubeconfig", **clusters, **more}, strict=False
    )


def test_the_mesh_requests_what_istio_requests():
    north, south = environment().clusters
    assert capacity.total(
        requirements.requests_per_pod(environment(), north)
    ) == capacity.parse_resources({"cpu": "820m", "memory": "2560Mi"})
    assert capacity.total(
        requirements.requests_per_pod(environment(), south)
    ) == capacity.parse_resources({"cpu": "300m", "memory": "384Mi"})


def test_resources_of_the_environment_are_what_is_requested():
    small = {"cpu": "10m", "memory": "40Mi"}
    chosen = {"istiod": {"memory": "256Mi"}, "gateway": small, "sidecar": small}
    tuned = environment(federation="direct", resources=chosen)
    assert capacity.total(
        requirements.requests_per_pod(tuned, tuned.host)
    ) == capacity.parse_resources({"cpu": "530m", "memory": "376Mi"})


def test_in_the_guides_stack_a_remote_has_an_istiod_too():
    guide = environment(stack="guide")
    assert (
        max(p.memory for p in requirements.requests_per_pod(guide, guide.remotes[0])) == 2 * 2**30
    )


def test_the_probe_gets_the_gateways_own_load_balancer():
    gateway = {
        "name": "istio-eastwestgateway",
        "k8s": {
            "serviceAnnotations": {"cloud/internal": "true"},
            "service": {"loadBalancerClass": "outer", "externalTrafficPolicy": "Local"},
        },
    }
    tuned = environment(overlays={"host": {"components": {"ingressGateways": [gateway]}}})
    assert requirements.load_balancer_settings(tuned, tuned.host) == (
        {"cloud/internal": "true"},
        {"loadBalancerClass": "outer"},
    )
    assert requirements.load_balancer_settings(tuned, tuned.remotes[0]) == ({}, {})


def named(name, owner="", **more):
    labels = {ENVIRONMENT_LABEL: owner} if owner else {}
    return {"metadata": {"name": name, "labels": labels}, **more}


def webhook(owner="", called="rev.namespace.sidecar-injector.istio.io", policy="Ignore"):
    service = {"namespace": "istio-old", "name": "istiod"}
    call = {"name": called, "failurePolicy": policy, "clientConfig": {"service": service}}
    return named("old", owner, kind="MutatingWebhookConfiguration", webhooks=[call])


def judged(kubefed=True, namespaces=(), webhooks=(), definitions=(), services=()):
    content = ClusterContent(namespaces, webhooks, definitions, frozenset(services))
    return conflicts.find_conflicts("south", "pair", content, kubefed=kubefed, carried=kubefed)


def kept(name, owner="pair"):
    space = named(name, owner, kind="Namespace")
    space["metadata"]["labels"][KEEP] = "true"
    return space


def test_a_clean_cluster_has_no_leftovers():
    theirs = [named("default"), named("kube-system")]
    others = [named("certificates.cert-manager.io"), named("gateways.gateway.networking.k8s.io")]
    foreign = [webhook(called="webhook.cert-manager.io")]
    assert judged(namespaces=theirs, definitions=others, webhooks=foreign) == []


def test_what_bears_our_label_is_no_leftover():
    spaces = [named(n, "pair") for n in ("istio-system", "sample", "kube-federation-system")]
    kinds = [named("gateways.networking.istio.io", "pair"), named("x.core.kubefed.io")]
    assert judged(namespaces=spaces, definitions=kinds, webhooks=[webhook("pair")]) == []


@pytest.mark.parametrize("name", ["istio-system", "sample", "kube-federation-system"])
def test_a_namespace_of_somebody_else_is_refused(name):
    [found] = judged(namespaces=[named(name)])
    assert f"Namespace {name}" in found.message and "somebody else" in found.message
    assert f"kubectl delete namespace {name}" in found.hint


def test_a_namespace_of_the_platforms_team_may_be_handed_over():
    [found] = judged(kubefed=False, namespaces=[named("istio-system")])
    command = "kubectl label namespace istio-system isthmus/environment=pair isthmus/keep=true"
    assert found.hint.endswith(command)
    assert judged(kubefed=False, namespaces=[kept("istio-system"), kept("sample")]) == []


def test_kubefed_would_not_keep_a_namespace_so_it_is_refused_before_it_begins():
    [found] = judged(namespaces=[kept("sample")])
    assert "KubeFed would take its other labels off" in found.message
    assert "federation: direct" in found.hint and "isthmus/keep-" in found.hint


def test_a_namespace_of_another_environment_says_which():
    [found] = judged(namespaces=[named("istio-system", "other")])
    assert "environment other" in found.message and "isthmus down other" in found.hint


def test_kubefeds_leftovers_hinder_no_direct_federation():
    spaces, kinds = [named("kube-federation-system")], [named("x.core.kubefed.io")]
    assert judged(kubefed=False, namespaces=spaces, definitions=kinds) == []


def test_kinds_of_another_kubefed_are_refused():
    [found] = judged(definitions=[named("kubefedclusters.core.kubefed.io")])
    assert "KubeFed" in found.message


def test_many_kinds_of_another_istio_are_one_refusal():
    kinds = [named(f"k{n}.networking.istio.io") for n in range(9)]
    [found] = judged(definitions=kinds)
    assert "k3.networking.istio.io and 5 more" in found.message


def test_a_webhook_of_another_istio_is_refused():
    [found] = judged(webhooks=[webhook()], services=["istio-old/istiod"])
    assert "another Istio" in found.message and "gone" not in found.message


def test_a_webhook_that_fails_without_its_service_says_so():
    [found] = judged(webhooks=[webhook(policy="Fail")])
    assert "Service istio-old/istiod does not exist" in found.message
    assert "kubectl delete mutatingwebhookconfiguration old" in found.hint


SERVER = reachability.api_server_probe("south", "https://10.0.0.1:6443/", "CA")
STANDIN = reachability.gateway_probe("south", "1.2.3.4", 15443, stands=False)
STANDS = reachability.gateway_probe("south", "fd00::1", 15443, stands=True)
NOBODY = "curl: (7) Failed to connect to 1.2.3.4 port 15443: Connection refused"


def test_an_api_server_is_called_with_the_ca_that_istiod_knows_it_by():
    assert SERVER.url == "https://10.0.0.1:6443/version"
    assert "--cacert" in SERVER.command[2] and SERVER.command[-1] == "CA"
    assert "-k" in reachability.api_server_probe("south", "https://a", "").command[2]


def test_an_address_of_six_is_written_in_brackets():
    assert STANDS.url == "http://[fd00::1]:15443/"


@pytest.mark.parametrize(
    ("url", "asked", "found"),
    [
        ("https://[fd00::1]:6443", "https://api:6443/version", "::[fd00::1]:6443"),
        ("https://10.0.0.1/k8s/c-1/", "https://api:443/k8s/c-1/version", "::10.0.0.1:443"),
    ],
)
def test_a_certificate_of_another_name_is_asked_for_by_that_name_at_the_same_address(
    url, asked, found
):
    call = reachability.api_server_probe("south", url, "CA", "api")
    assert call.command[3] == asked and f"--connect-to '{found}'" in call.command[2]
    assert call.url == f"{url.rstrip('/')}/version", "what a person is told of"


def test_a_certificate_that_pods_do_not_trust_is_no_closed_way():
    found = reachability.unreachable_error("north", SERVER, "curl: (60) SSL certificate problem")
    assert isinstance(found, BadEnvironment) and "do not trust" in found.message
    assert "in its kubeconfig" in found.hint and "open it" not in found.hint


@pytest.mark.parametrize("code", ["200", "401", "403", "404"])
def test_every_status_is_an_answer(code):
    assert reachability.parse_curl_error(SERVER, code, "") == ""


@pytest.mark.parametrize("said", [NOBODY, "curl: (28) Connection timed out", "curl: (60) SSL: no"])
def test_no_answer_is_told_in_curls_words(said):
    assert reachability.parse_curl_error(SERVER, "000", f"{said}\n") == said


def test_a_stand_in_must_answer_but_a_gateway_that_stands_need_only_be_there():
    reset = "curl: (56) Recv failure: Connection reset by peer"
    assert reachability.parse_curl_error(STANDIN, "000", reset) == reset
    assert reachability.parse_curl_error(STANDS, "000", reset) == ""
    assert reachability.parse_curl_error(STANDS, "000", NOBODY) == NOBODY


def test_a_pod_without_the_command_is_told():
    assert reachability.parse_curl_error(STANDIN, "", "") == "no answer"


def test_a_private_server_that_is_not_reached_is_refused_with_the_key_that_helps():
    found = reachability.unreachable_error("north", SERVER, "curl: (28) timed out")
    assert isinstance(found, BadEnvironment) and found.cluster == "south"
    assert "a private address" in found.message and "`server:" in found.hint


def test_a_gateway_that_is_not_reached_names_both_ends():
    found = reachability.unreachable_error("north", STANDIN, NOBODY)
    assert isinstance(found, Unprepared) and found.cluster == "north"
    assert "south's load balancer at http://1.2.3.4:15443/" in found.message


def error(kind, cluster="a"):
    return kind("is wrong", cluster=cluster, hint="do this")


@pytest.mark.parametrize(
    ("kinds", "whole"),
    [
        ([ClusterUnreachable, ClusterUnreachable], ClusterUnreachable),
        ([NotReady, NotReady], NotReady),
        ([ClusterUnreachable, Unprepared], Unprepared),
        ([ClusterUnreachable, Rejected], Unprepared),
        ([Unprepared, BadEnvironment, ClusterUnreachable], BadEnvironment),
    ],
)
def test_several_errors_are_one_of_the_type_that_says_what_must_be_done(kinds, whole):
    found = errors.combine_errors([error(k) for k in kinds], "all wrong:", "do it")
    assert type(found) is whole and len(found.causes) == len(kinds)
    assert str(found).count("- a: is wrong\n    do this") == len(kinds)


def test_a_single_error_stays_as_it_is():
    alone = error(NotReady)
    assert errors.combine_errors([alone], "all wrong:", "do it") is alone


def test_several_errors_survive_pickling():
    found = errors.combine_errors(
        [error(Unprepared), error(Unprepared, "b")], "all wrong:", "do it"
    )
    again = pickle.loads(pickle.dumps(found))
    assert str(again) == str(found) and [p.cluster for p in again.causes] == ["a", "b"]
