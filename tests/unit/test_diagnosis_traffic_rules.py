"""Rules about traffic: what keeps it near, hides it, refuses it, isolates it, strips its TLS."""

import json
from functools import cache

import pytest
import snapshots
from snapshot_objects import container, pod, service, thing
from snapshots import changed, edited, probed, with_kind, with_object

from isthmus.diagnosis.analyzers import (
    access_policies,
    isolation,
    locality,
    mutual_tls,
    outlier_detection,
    visibility,
)

healthy = cache(snapshots.healthy)
"""One of each kind is enough: no test changes it."""
MODULES = (locality, outlier_detection, mutual_tls, access_policies, visibility, isolation)
CHECKS = [check for module in MODULES for check in module.ANALYZERS]
FQDN = "helloworld.sample.svc.cluster.local"
ALL = [(r, s, f) for r in (1, 2) for s in ("istio-1.31", "guide") for f in ("kubefed", "direct")]


def found(snapshot):
    return [failure for check in CHECKS for failure in check.run(snapshot)]


def only(snapshot, failure_id):
    [failure] = found(snapshot)
    assert failure.id == failure_id
    return failure


def rule(kind, spec, name="mine", namespace="sample", **meta):
    item = thing(kind, name, namespace, **meta)
    return item | {"apiVersion": "networking.istio.io/v1", "spec": spec}


def ruled(*items, snapshot=None, cluster="beijing"):
    snapshot = snapshot or healthy()
    for item in items:
        snapshot = with_object(snapshot, cluster, item)
    return snapshot


def meshed(snapshot, **config):
    """Set MeshConfig, as /debug/mesh shows it."""
    [istiod] = snapshot.host.istiods
    mesh = {**istiod.mesh, **config}
    return changed(snapshot, "beijing", istiods=[istiod.model_copy(update={"mesh": mesh})])


@pytest.mark.parametrize(("remotes", "stack", "federation"), ALL)
def test_a_healthy_mesh_has_no_rule_in_the_way(remotes, stack, federation):
    assert not found(healthy(remotes, stack, federation))


# F27


def test_a_cluster_local_service_is_told_as_meant():
    settings = [{"settings": {"clusterLocal": True}, "hosts": ["*.sample.svc.cluster.local"]}]
    failure = only(meshed(healthy(), serviceSettings=settings), "F27")
    assert failure.severity == "info" and failure.clusters == ("beijing",)
    assert "*.sample.svc.cluster.local clusterLocal" in failure.evidence[0]


def test_a_more_specific_setting_makes_a_service_global_again():
    settings = [
        {"settings": {"clusterLocal": True}, "hosts": ["*.sample.svc.cluster.local"]},
        {"settings": {"clusterLocal": False}, "hosts": [FQDN]},
    ]
    assert not found(meshed(healthy(), serviceSettings=settings))


def test_mesh_config_is_read_from_its_config_map_where_istiod_did_not_tell():
    snapshot = changed(healthy(), "beijing", istiods=[])
    text = f"serviceSettings:\n- settings: {{clusterLocal: true}}\n  hosts: [{FQDN}]\n"
    snapshot = edited(
        snapshot, "beijing", "ConfigMap", "istio", lambda c: c["data"].update(mesh=text)
    )
    assert only(snapshot, "F27").object == "ConfigMap istio-system/istio"


def test_the_hosts_traffic_distribution_keeps_requests_in_their_network():
    def near(item):
        item["spec"]["trafficDistribution"] = "PreferClose"

    failure = only(edited(healthy(), "beijing", "Service", "helloworld", near), "F27")
    assert "trafficDistribution is PreferClose" in failure.evidence[0]
    assert failure.fix.startswith("kubectl --context beijing -n sample patch service helloworld")
    assert not found(edited(healthy(), "shanghai", "Service", "helloworld", near))
    assert not found(edited(healthy(1, "guide"), "beijing", "Service", "helloworld", near))


SUBSETS = rule(
    "DestinationRule",
    {
        "host": "helloworld",
        "subsets": [{"name": v, "labels": {"version": v}} for v in ("v1", "v2")],
    },
)


def routed(*http, hosts=("helloworld",), **spec):
    return rule("VirtualService", {"hosts": list(hosts), "http": list(http), **spec})


def to(subset, host="helloworld", **more):
    return {"destination": {"host": host, "subset": subset}, **more}


def test_a_route_to_the_version_of_one_cluster_is_told_as_meant():
    failure = only(ruled(SUBSETS, routed({"route": [to("v1")]})), "F27")
    assert "requests from shanghai go to beijing alone" in failure.evidence[0]
    assert failure.object == "VirtualService sample/mine"


def test_a_route_to_versions_of_all_clusters_is_nothing_to_tell():
    both = {"route": [to("v1", weight=50), to("v2", weight=50)]}
    assert not found(ruled(SUBSETS, routed(both)))


def test_a_partition_by_cluster_is_told_for_each_caller():
    label = "topology.istio.io/cluster"
    spec = {
        "host": FQDN,
        "subsets": [{"name": n, "labels": {label: n}} for n in ("beijing", "shanghai")],
    }
    parts = [
        {"match": [{"sourceLabels": {label: n}}], "route": [to(n, FQDN)]}
        for n in ("beijing", "shanghai")
    ]
    failure = only(ruled(rule("DestinationRule", spec), routed(*parts)), "F27")
    assert "from beijing go to beijing alone" in failure.evidence[0]
    assert "from shanghai go to shanghai alone" in failure.evidence[0]


def test_a_failover_that_somebody_wrote_is_told_as_meant():
    policy = {
        "outlierDetection": {"consecutive5xxErrors": 1},
        "loadBalancer": {"localityLbSetting": {"failoverPriority": ["topology.istio.io/cluster"]}},
    }
    snapshot = ruled(rule("DestinationRule", {"host": "helloworld", "trafficPolicy": policy}))
    assert "failoverPriority" in only(snapshot, "F27").evidence[0]


# F38


def outlier(**spec):
    policy = {"outlierDetection": {"consecutive5xxErrors": 1}, **spec}
    return rule("DestinationRule", {"host": FQDN, "trafficPolicy": policy})


def test_outlier_detection_alone_prefers_the_own_region():
    failure = only(ruled(outlier()), "F38")
    assert failure.severity == "warning" and failure.object == "DestinationRule sample/mine"
    assert "shanghai: its pods are in shanghai" in failure.evidence
    assert failure.fix == (
        "kubectl --context beijing -n sample patch destinationrules.networking.istio.io mine "
        "--type=merge -p "
        '\'{"spec":{"trafficPolicy":{"loadBalancer":{"localityLbSetting":{"enabled":false}}}}}\''
    )


@pytest.mark.parametrize("setting", [{"enabled": False}])
def test_outlier_detection_with_the_preference_off_is_fine(setting):
    assert not found(ruled(outlier(loadBalancer={"localityLbSetting": setting})))
    assert not found(meshed(ruled(outlier()), localityLbSetting=setting))


def test_outlier_detection_for_another_host_is_fine():
    other = outlier()
    other["spec"]["host"] = "istiod.istio-system.svc.cluster.local"
    assert not found(ruled(other))


def test_a_rule_that_lies_in_a_remote_is_read_by_nobody():
    assert not found(ruled(outlier(), cluster="shanghai"))


def test_without_regions_there_is_nothing_to_prefer():
    snapshot = ruled(outlier())
    for name in ("beijing", "shanghai"):
        snapshot = edited(snapshot, name, "Node", "node-1", lambda n: n["metadata"].pop("labels"))
    assert not found(snapshot)


def test_outlier_detection_of_the_whole_mesh_is_seen():
    default = {"outlierDetection": {"consecutive5xxErrors": 5}}
    failure = only(meshed(healthy(), defaultTrafficPolicy=default), "F38")
    assert failure.object == "MeshConfig"


# F28


def plain(pod):
    pod["spec"].pop("initContainers")
    pod["metadata"]["labels"].pop("security.istio.io/tlsMode")


def test_a_backend_without_a_sidecar_is_left_out_of_what_other_networks_get():
    failure = only(edited(healthy(), "shanghai", "Pod", "helloworld-7c-1", plain), "F28")
    assert failure.clusters == ("shanghai",) and failure.severity == "error"
    assert "Pod sample/helloworld-7c-1: no container istio-proxy" in failure.evidence
    assert failure.cause.startswith("either") and not failure.certain
    assert failure.fix == (
        "kubectl --context shanghai -n sample rollout restart deployment/helloworld"
    )


def test_a_namespace_without_the_label_is_the_cause_of_a_missing_sidecar():
    snapshot = edited(healthy(), "shanghai", "Pod", "helloworld-7c-1", plain)
    snapshot = edited(
        snapshot, "shanghai", "Namespace", "sample", lambda n: n["metadata"].update(labels={})
    )
    failure = only(snapshot, "F28")
    assert "has no label istio-injection=enabled" in failure.cause and failure.certain
    assert failure.fix.splitlines()[0] == "isthmus up pair"


def test_a_pod_that_refuses_injection_is_told_which_label_to_take_away():
    def refuses(item):
        item["spec"]["template"]["metadata"].setdefault("labels", {}).update(
            {"sidecar.istio.io/inject": "false"}
        )

    def refused(pod):
        plain(pod)
        pod["metadata"]["labels"]["sidecar.istio.io/inject"] = "false"

    snapshot = edited(healthy(), "shanghai", "Pod", "helloworld-7c-1", refused)
    failure = only(edited(snapshot, "shanghai", "Deployment", "helloworld", refuses), "F28")
    assert '"op":"remove","path":"/spec/template/metadata/labels/sidecar.istio.io~1inject"' in (
        failure.fix
    )


def test_one_plain_pod_beside_good_ones_is_a_warning():
    snapshot = healthy()
    [pod] = [
        p for p in snapshot.cluster("shanghai").objects["Pod"] if "hello" in str(p["metadata"])
    ]
    twin = json.loads(json.dumps(pod))
    twin["metadata"]["name"] = "helloworld-7c-2"
    plain(twin)
    failure = only(with_object(snapshot, "shanghai", twin), "F28")
    assert failure.severity == "warning" and "1 of 2 ready pods" in failure.evidence[0]


def test_a_caller_without_a_sidecar_gets_its_own_cluster_alone():
    failure = only(edited(healthy(), "shanghai", "Pod", "sleep-5b-1", plain), "F28")
    assert "its own cluster alone" in failure.cause


@pytest.mark.parametrize(
    "policy",
    [
        {"tls": {"mode": "DISABLE"}},
        {"tls": {"mode": "SIMPLE"}},
        {"portLevelSettings": [{"port": {"number": 5000}, "tls": {"mode": "DISABLE"}}]},
    ],
)
def test_a_destination_rule_without_mutual_tls_cuts_networks_apart(policy):
    spec = {"host": "helloworld", "trafficPolicy": policy}
    failure = only(ruled(rule("DestinationRule", spec)), "F28")
    assert failure.object == "DestinationRule sample/mine" and failure.severity == "error"
    assert "kubectl --context beijing -n sample" in failure.fix


def test_mutual_tls_in_a_destination_rule_is_fine():
    spec = {"host": "helloworld", "trafficPolicy": {"tls": {"mode": "ISTIO_MUTUAL"}}}
    assert not found(ruled(rule("DestinationRule", spec)))


def peer(mode, namespace="sample", name="mine", **spec):
    return rule("PeerAuthentication", {"mtls": {"mode": mode}, **spec}, name, namespace)


@pytest.mark.parametrize("namespace", ["sample", "istio-system"])
def test_peer_authentication_disable_cuts_networks_apart(namespace):
    failure = only(ruled(peer("DISABLE", namespace)), "F28")
    assert "mode DISABLE at port 5000" in failure.evidence[0]
    assert failure.fix.endswith("""--type=merge -p '{"spec": {"mtls": {"mode": "PERMISSIVE"}}}'""")


def test_the_namespaces_peer_authentication_overrules_the_meshs():
    assert not found(ruled(peer("DISABLE", "istio-system"), peer("STRICT")))


def test_a_port_of_a_workload_may_be_disabled_by_itself():
    spec = {"selector": {"matchLabels": {"app": "helloworld"}}}
    per_port = peer("STRICT", **spec, portLevelMtls={"5000": {"mode": "DISABLE"}})
    assert '"portLevelMtls": {"5000"' in only(ruled(per_port), "F28").fix


# F48


def allows(rules, action="ALLOW", namespace="sample", **spec):
    spec = {"action": action, "rules": rules, **spec}
    return rule("AuthorizationPolicy", spec, "guard", namespace)


FROM_SAMPLE = {"from": [{"source": {"namespaces": ["sample"]}}]}


@pytest.mark.parametrize(
    "rules",
    [
        [],
        [{"from": [{"source": {"namespaces": ["default"]}}]}],
        [{"from": [{"source": {"principals": ["cluster.local/ns/sample/sa/other"]}}]}],
        [{"to": [{"operation": {"methods": ["POST"]}}]}],
        [{"to": [{"operation": {"paths": ["/api/*"]}}]}],
        [{"to": [{"operation": {"ports": ["8080"]}}]}],
        [{"from": [{"source": {"requestPrincipals": ["*"]}}]}],
        [{"when": [{"key": "source.namespace", "notValues": ["sample"]}]}],
        [{**FROM_SAMPLE, "to": [{"operation": {"methods": ["PUT"]}}]}],
    ],
)
def test_allow_policies_that_leave_the_callers_out_refuse_them(rules):
    failure = only(ruled(allows(rules)), "F48")
    assert failure.severity == "error" and failure.clusters == ("beijing",)
    assert failure.object == "AuthorizationPolicy sample/guard"
    assert "none allows the callers of Service sample/helloworld in beijing, shanghai" in (
        failure.cause
    )
    assert failure.fix.endswith("| kubectl --context beijing apply -f -")
    made = json.loads(failure.fix.split("'")[1])
    assert not found(ruled(allows(rules), made))


@pytest.mark.parametrize(
    "rules",
    [
        [{}],
        [FROM_SAMPLE],
        [{"from": [{"source": {"principals": ["*/ns/sample/*"]}}]}, FROM_SAMPLE],
        [{"to": [{"operation": {"hosts": ["helloworld.sample:5000"]}}]}],
        [{"when": [{"key": "request.headers[x-user]", "values": ["me"]}]}],
        [{"from": [{"source": {"ipBlocks": ["10.0.0.0/8"]}}]}],
        [{**FROM_SAMPLE, "to": [{"operation": {"methods": ["GET"], "paths": ["/hello"]}}]}],
    ],
)
def test_policies_that_let_the_callers_through_or_may_are_fine(rules):
    assert not found(ruled(allows(rules)))


@pytest.mark.parametrize(
    "rules",
    [
        [{}],
        [FROM_SAMPLE],
        [{"to": [{"operation": {"methods": ["GET"]}}]}],
        [{"from": [{"source": {"notRequestPrincipals": ["*"]}}]}],
        [{"from": [{"source": {"notNamespaces": ["default"]}}]}],
    ],
)
def test_a_deny_policy_that_matches_the_callers_refuses_them(rules):
    failure = only(ruled(allows(rules, "DENY")), "F48")
    assert "403" in failure.cause
    assert failure.fix == (
        "kubectl --context beijing -n sample delete authorizationpolicies.security.istio.io guard"
    )


@pytest.mark.parametrize(
    "policy",
    [
        allows([], "DENY"),
        allows([{"to": [{"operation": {"methods": ["DELETE"]}}]}], "DENY"),
        allows([], selector={"matchLabels": {"app": "other"}}),
        allows([], namespace="default"),
        allows([], "AUDIT"),
        rule("AuthorizationPolicy", {}, annotations={"istio.io/dry-run": "true"}),
        rule("AuthorizationPolicy", {"targetRefs": [{"kind": "Gateway", "name": "x"}]}),
        rule("RequestAuthentication", {"jwtRules": [{"issuer": "me"}]}),
    ],
)
def test_policies_that_are_not_about_the_callers_are_fine(policy):
    assert not found(ruled(policy))


def test_an_external_authorizer_decides_and_is_told_of():
    failure = only(ruled(allows([{}], "CUSTOM", provider={"name": "ext"})), "F48")
    assert failure.severity == "warning" and not failure.certain


def test_a_policy_of_the_root_namespace_shuts_the_remotes_way_to_istiod_too():
    mesh_wide, gateway = found(ruled(allows([FROM_SAMPLE], namespace="istio-system"))), "15012"
    [failure] = mesh_wide
    assert failure.id == "F48" and gateway in failure.cause
    made = json.loads(failure.fix.split("'")[1])
    assert not found(ruled(allows([FROM_SAMPLE], namespace="istio-system"), made))


def test_strict_mutual_tls_resets_a_caller_without_a_sidecar():
    snapshot = edited(healthy(), "shanghai", "Pod", "sleep-5b-1", plain)
    told = found(ruled(peer("STRICT"), snapshot=snapshot))
    assert [f.id for f in told] == ["F28", "F48"]
    assert "STRICT" in told[1].evidence[0]
    assert not found(ruled(peer("STRICT")))


# F49


@pytest.mark.parametrize(
    ("item", "words"),
    [
        (rule("Sidecar", {"egress": [{"hosts": ["./other", "istio-system/*"]}]}), "egress hosts"),
        (rule("Sidecar", {"egress": [{"hosts": ["~/*"]}]}, namespace="istio-system"), "egress"),
        (rule("Sidecar", {"egress": [{"hosts": ["*/*", f"~sample/{FQDN}"]}]}), "egress hosts"),
        (routed({"fault": {"abort": {"percentage": {"value": 10}}}, "route": [to("")]}), "abort"),
        (routed({"fault": {"delay": {"percent": 100}}, "route": [to("")]}), "delay"),
        (routed({"redirect": {"uri": "/x"}}), "redirect"),
        (routed({"directResponse": {"status": 503}}), "directResponse"),
        (routed({"route": [to("v9")]}), "subset 'v9', which no DestinationRule has"),
        (routed({"route": [to("", "nobody")]}), "nobody.sample.svc.cluster.local, which no clu"),
        (routed({"route": [to("", "helloworld.sample")]}), "helloworld.sample, which no cluster"),
        (routed({"match": [{"sourceNamespace": "x"}], "route": [to("")]}), "no route is for"),
        (
            routed({"route": [{"destination": {"host": FQDN, "port": {"number": 80}}}]}),
            "port 80, which the Service does not have",
        ),
    ],
)
def test_rules_that_hide_or_break_the_service_are_named(item, words):
    failure = only(ruled(item), "F49")
    assert failure.severity == "error" and words in failure.evidence[0]
    assert failure.object == f"{item['kind']} {item['metadata']['namespace']}/mine"
    assert failure.fix.startswith("kubectl --context beijing -n ")


def test_a_subset_without_pods_ends_in_503():
    nothing = {"host": FQDN, "subsets": [{"name": "v9", "labels": {"version": "v9"}}]}
    snapshot = ruled(rule("DestinationRule", nothing), routed({"route": [to("v9")]}))
    assert "which no pod is in" in only(snapshot, "F49").evidence[0]


@pytest.mark.parametrize(
    "item",
    [
        rule("Sidecar", {"egress": [{"hosts": ["./*", "istio-system/*"]}]}),
        rule("Sidecar", {"egress": [{"hosts": [f"sample/{FQDN}"]}]}),
        rule("Sidecar", {"egress": [{"hosts": ["*/*"]}]}, namespace="istio-system"),
        rule(
            "Sidecar", {"egress": [{"hosts": ["x/*"]}], "workloadSelector": {"labels": {"a": "b"}}}
        ),
        rule("Sidecar", {"ingress": []}),
        routed({"route": [to("")], "timeout": "5s", "retries": {"attempts": 2}}),
        routed({"route": [to("v1")]}, gateways=["public"]),
        routed({"route": [to("v1")]}, hosts=["shop"]),
        routed({"route": [to("v9")]}, exportTo=["istio-system"]),
        routed({"fault": {"abort": {"httpStatus": 500}}, "route": [to("")]}),
        rule("ServiceEntry", {"hosts": ["example.com"]}),
        rule("EnvoyFilter", {"workloadSelector": {"labels": {"app": "other"}}}),
        rule("EnvoyFilter", {}, labels={"operator.istio.io/component": "Pilot"}),
        rule("EnvoyFilter", {}, namespace="default"),
    ],
)
def test_rules_that_leave_the_service_alone_are_fine(item):
    assert not found(ruled(item))


def test_a_fault_for_some_requests_alone_is_a_warning():
    mine = {"headers": {"end-user": {"exact": "me"}}}
    fault = {"abort": {"percentage": {"value": 100}}}
    routes = [{"match": [mine], "fault": fault, "route": [to("")]}, {"route": [to("")]}]
    failure = only(ruled(routed(*routes)), "F49")
    assert failure.severity == "warning" and not failure.certain


def test_requests_that_go_to_another_service_are_a_warning():
    snapshot = ruled(routed({"route": [to("", "istiod.istio-system.svc.cluster.local")]}))
    assert only(snapshot, "F49").severity == "warning"


def test_the_same_host_in_a_service_entry_is_a_warning_with_two_causes():
    spec = {"hosts": [FQDN], "resolution": "STATIC", "endpoints": [{"address": "10.1.1.1"}]}
    failure = only(ruled(rule("ServiceEntry", spec)), "F49")
    assert failure.cause.startswith("either") and not failure.certain


def test_an_envoy_filter_on_the_pods_is_told_and_not_judged():
    failure = only(ruled(rule("EnvoyFilter", {}, namespace="istio-system")), "F49")
    assert failure.severity == "warning" and "not judged" in failure.cause


def test_a_service_that_is_exported_to_nobody_is_hidden():
    def hide(item):
        item["metadata"]["annotations"] = {"networking.istio.io/exportTo": "~"}

    failure = only(edited(healthy(), "beijing", "Service", "helloworld", hide), "F49")
    assert failure.fix == (
        "kubectl --context beijing -n sample annotate service helloworld "
        "networking.istio.io/exportTo-"
    )
    assert not found(edited(healthy(), "shanghai", "Service", "helloworld", hide))


# F50


def isolating(namespace="sample", cluster="shanghai", snapshot=None, name="deny", **spec):
    item = thing("NetworkPolicy", name, namespace, spec={"podSelector": {}, **spec})
    return ruled(item, snapshot=snapshot, cluster=cluster)


def test_a_policy_that_lets_nothing_in_is_told_as_likely():
    failure = only(isolating(policyTypes=["Ingress"]), "F50")
    assert failure.severity == "warning" and not failure.certain
    assert failure.clusters == ("shanghai",) and failure.object.startswith(
        "NetworkPolicy sample/deny on "
    )
    assert "no rule lets in TCP 5000 from the gateway and the caller" in failure.evidence
    made = json.loads(failure.fix.split("'")[1])
    assert not found(ruled(made, snapshot=isolating(policyTypes=["Ingress"]), cluster="shanghai"))


def test_a_policy_on_the_gateway_shuts_other_networks_out():
    same = {"from": [{"podSelector": {}}]}
    failure = only(isolating("istio-system", ingress=[same]), "F50")
    assert "no rule lets in TCP 15443 from other networks" in failure.evidence


def test_a_policy_on_the_hosts_istio_system_shuts_istiod_and_gateway():
    told = found(isolating("istio-system", "beijing", policyTypes=["Ingress"]))
    assert [f.id for f in told] == ["F50", "F50"]
    assert {w for f in told for e in f.evidence for w in e.split() if w in ("15012", "15017")}


def test_a_policy_without_egress_keeps_callers_from_istiod_dns_and_other_networks():
    failure = only(isolating(policyTypes=["Egress"]), "F50")
    for words in ("UDP 53", "TCP 15012", "TCP 15443", "TCP 5000"):
        assert any(words in fact for fact in failure.evidence)


def test_a_connection_that_failed_makes_it_an_error():
    snapshot = probed(
        isolating("istio-system", policyTypes=["Ingress"]),
        lambda p: p.target == "shanghai" and p.purpose == "gateway",
        connected=False,
        error_at="tcp",
        error="connection timed out",
    )
    assert only(snapshot, "F50").severity == "error"


@pytest.mark.parametrize(
    "spec",
    [
        {"ingress": [{}]},
        {"ingress": [{"ports": [{"port": 5000}]}]},
        {"ingress": [{"ports": [{"port": 4000, "endPort": 6000}]}]},
        {"ingress": [{"from": [{"namespaceSelector": {}}]}]},
        {"ingress": [{"from": [{"ipBlock": {"cidr": "10.0.0.0/8"}}]}]},
        {
            "ingress": [
                {
                    "from": [
                        {"podSelector": {}},
                        {
                            "namespaceSelector": {
                                "matchLabels": {"kubernetes.io/metadata.name": "istio-system"}
                            }
                        },
                    ]
                }
            ]
        },
        {"podSelector": {"matchLabels": {"app": "other"}}, "policyTypes": ["Ingress", "Egress"]},
    ],
)
def test_policies_that_let_the_mesh_through_are_fine(spec):
    assert not found(isolating(**spec))


def test_policies_add_up():
    snapshot = isolating(policyTypes=["Ingress"])
    assert not found(
        isolating(snapshot=snapshot, name="allow", ingress=[{"ports": [{"port": 5000}]}])
    )


def test_a_block_that_leaves_the_gateway_out_is_seen():
    block = {"cidr": "10.0.0.0/8", "except": ["10.11.0.5/32"]}
    assert found(isolating(ingress=[{"from": [{"ipBlock": block}]}]))


# shapes


STRANGE = [{}, {"spec": None}, {"spec": {"http": [3], "hosts": None, "host": 5, "egress": "x"}}]
STRANGE += [{"spec": {"rules": [{"from": [None, {"source": 3}], "to": "x", "when": [{}]}]}}]
STRANGE += [{"spec": {"podSelector": 1, "ingress": [{"ports": [{}], "from": [{}, 3]}]}}]
STRANGE += [{"spec": {"trafficPolicy": {"portLevelSettings": [1, {}], "tls": 4}, "host": FQDN}}]
STRANGE += [{"spec": {"hosts": [FQDN], "http": [{"match": 3, "route": [{}, {"destination": 1}]}]}}]


@pytest.mark.parametrize("shape", STRANGE)
@pytest.mark.parametrize(
    "kind",
    (
        "VirtualService DestinationRule Sidecar ServiceEntry EnvoyFilter NetworkPolicy "
        "AuthorizationPolicy PeerAuthentication RequestAuthentication"
    ).split(),
)
def test_no_shape_of_a_users_rule_raises(kind, shape):
    for name in ("beijing", "shanghai"):
        found(ruled({**thing(kind, "odd", "sample"), **shape}, cluster=name))
    found(with_kind(healthy(), "beijing", kind, None))


def test_each_finding_has_a_key_of_its_own():
    """Findings of one key are taken for one (analysis.analyze)."""
    fault = {"abort": {"percentage": {"value": 10}}, "delay": {"percentage": {"value": 10}}}
    snapshot = ruled(
        routed({"fault": fault, "route": [to("v9")]}),
        allows([], namespace="istio-system"),
        allows([{}], "DENY"),
        thing("NetworkPolicy", "deny", "istio-system", spec={"policyTypes": ["Ingress"]}),
    )
    told = found(snapshot)
    assert len({f.key for f in told}) == len(told)
    [route] = [f for f in told if f.id == "F49"]
    assert all(any(w in e for e in route.evidence) for w in ("abort", "delay", "v9"))


def test_a_users_service_is_judged_by_the_rules_of_its_own_namespace():
    snapshot = healthy()
    for name in ("beijing", "shanghai"):
        ways = [("http", 80, 8080)]
        snapshot = ruled(
            service("shop", "shops", "10.9.9.9", ways, {"app": "shop"}),
            pod("shop-1", "shops", {"app": "shop", **INJECTED}, "10.9.0.1", [PROXY]),
            snapshot=snapshot,
            cluster=name,
        )
    [istiod] = snapshot.host.istiods
    shards = {**istiod.endpoint_shards, "shop.shops.svc.cluster.local": {"shops": {}}}
    istiods = [istiod.model_copy(update={"endpoint_shards": shards})]
    snapshot = changed(snapshot, "beijing", istiods=istiods)
    near = rule("Sidecar", {"egress": [{"hosts": ["./*"]}]})
    assert not found(ruled(near, snapshot=snapshot))
    far = rule("Sidecar", {"egress": [{"hosts": ["./nothing"]}]}, namespace="shops")
    failure = only(ruled(far, snapshot=snapshot), "F49")
    assert "shops/shop.shops.svc.cluster.local is not among them" in failure.evidence[0]
    nothing = rule("AuthorizationPolicy", {}, namespace="shops")
    assert only(ruled(nothing, snapshot=snapshot), "F48").fix.endswith("mine")


INJECTED = {"security.istio.io/tlsMode": "istio"}
PROXY = container("istio-proxy", "proxyv2:1.31.0")
