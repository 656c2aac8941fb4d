"""Clusters that differ where a mesh must be one, or lack its root: F22, F23."""

import pytest
import yaml
from snapshots import changed, edited, healthy, with_kind, with_object, without

from isthmus.diagnosis.analyzers.mesh_identity import differs, no_root

ANNOTATION = "topology.istio.io/controlPlaneClusters"


def only(check, snapshot):
    [found] = check.run(snapshot)
    return found


@pytest.mark.parametrize("stack", ["istio-1.31", "guide"])
@pytest.mark.parametrize("check", [differs, no_root])
def test_a_healthy_mesh_is_one(stack, check):
    assert check.run(healthy(2, stack)) == []


# F22


def configured(snapshot, name, **values):
    def change(item):
        mesh = {**yaml.safe_load(item["data"]["mesh"]), **values}
        item["data"]["mesh"] = yaml.safe_dump(mesh)

    return edited(snapshot, name, "ConfigMap", "istio", change)


def variable(snapshot, name, key, value):
    def change(item):
        for each in item["spec"].get("initContainers", []):
            for entry in each.get("env", []):
                entry["value"] = value if entry["name"] == key else entry["value"]

    return edited(snapshot, name, "Pod", "sleep-5b-1", change)


def test_another_trust_domain_is_shown_beside_the_hosts():
    found = only(differs, configured(healthy(), "shanghai", trustDomain="shanghai.local"))
    assert (found.id, found.severity, found.clusters) == ("F22", "error", ("shanghai",))
    assert found.evidence[0] == (
        "shanghai: trust domain shanghai.local in ConfigMap istio-system/istio"
    )
    assert found.evidence[1].startswith("beijing: trust domain cluster.local in istiod")
    assert "isthmus up pair" in found.fix


def test_an_alias_of_the_trust_domain_is_as_good():
    [istiod] = healthy().host.istiods
    mesh = {**istiod.mesh, "trustDomainAliases": ["old.local"]}
    made = changed(healthy(), "beijing", istiods=[istiod.model_copy(update={"mesh": mesh})])
    assert differs.run(variable(made, "shanghai", "TRUST_DOMAIN", "old.local")) == []
    assert differs.run(variable(made, "beijing", "TRUST_DOMAIN", "old.local")) == []


def test_a_certificate_of_another_trust_domain_is_seen():
    proxies = []
    for proxy in healthy().cluster("shanghai").proxies:
        leaf = proxy.leaf[0].model_copy(update={"sans": ("spiffe://other/ns/sample/sa/default",)})
        proxies.append(proxy.model_copy(update={"leaf": (leaf, *proxy.leaf[1:])}))
    found = only(differs, changed(healthy(), "shanghai", proxies=proxies))
    assert "trust domain other in the certificate of" in found.evidence[0]


def test_pods_of_the_host_itself_that_were_made_before_a_change_are_told():
    found = only(differs, variable(healthy(), "beijing", "TRUST_DOMAIN", "old.local"))
    assert found.clusters == ("beijing",)
    assert "beijing: trust domain old.local in Pod sample/sleep-5b-1" in found.evidence


def test_another_mesh_id_is_a_warning():
    found = only(differs, variable(healthy(), "shanghai", "ISTIO_META_MESH_ID", "mesh2"))
    assert (found.severity, found.object) == ("warning", "mesh ID")


def test_another_dns_domain_is_seen_in_what_the_agent_is_told():
    def domain(value):
        def change(item):
            for each in item["spec"]["initContainers"]:
                each["args"] = ["proxy", "sidecar", "--domain", f"$(POD_NAMESPACE).svc.{value}"]

        return change

    snapshot = edited(healthy(), "beijing", "Pod", "sleep-5b-1", domain("cluster.local"))
    same = edited(snapshot, "shanghai", "Pod", "sleep-5b-1", domain("cluster.local"))
    assert differs.run(same) == []
    found = only(differs, edited(snapshot, "shanghai", "Pod", "sleep-5b-1", domain("cn.local")))
    assert found.object == "DNS domain"


def test_a_host_that_does_not_answer_is_compared_with_nobody():
    snapshot = changed(healthy(), "beijing", objects={}, istiods=[], proxies=[], reachable=False)
    assert differs.run(snapshot) == []


# F23


def annotated(snapshot, value):
    def change(item):
        item["metadata"]["annotations"] = {ANNOTATION: value} if value else {}

    return edited(snapshot, "shanghai", "Namespace", "istio-system", change)


def rootless(snapshot, *spaces):
    found = snapshot.cluster("shanghai").objects["ConfigMap"]
    kept = [
        c
        for c in found
        if c["metadata"]["name"] != "istio-ca-root-cert" or c["metadata"]["namespace"] not in spaces
    ]
    return with_kind(snapshot, "shanghai", "ConfigMap", kept)


@pytest.mark.parametrize("value", ["", "region3"])
def test_a_remote_that_does_not_name_the_host_will_be_without_a_root(value):
    found = only(no_root, annotated(healthy(2), value))
    assert (found.id, found.severity, found.clusters) == ("F23", "warning", ("shanghai",))
    assert found.fix.splitlines() == [
        "kubectl --context shanghai annotate namespace istio-system "
        f"{ANNOTATION}=beijing --overwrite",
        "kubectl --context beijing -n istio-system rollout restart deployment/istiod",
    ]


def test_a_remote_without_annotation_and_root_is_an_error():
    found = only(no_root, rootless(annotated(healthy(), ""), "sample", "istio-system"))
    assert found.severity == "error"
    assert found.evidence[1] == "shanghai: no istio-ca-root-cert in sample, istio-system"


@pytest.mark.parametrize("value", ["*", "other,beijing"])
def test_other_ways_to_name_the_host_are_right(value):
    assert no_root.run(annotated(healthy(), value)) == []


def test_a_root_that_istiod_does_not_write_is_missed_in_injected_namespaces():
    found = only(no_root, rootless(healthy(), "sample"))
    assert found.evidence == ("shanghai: no istio-ca-root-cert in sample",)
    assert "leader election is stuck" in found.cause
    assert not found.certain
    assert found.fix.splitlines()[0] == "isthmus up pair"
    assert found.fix.endswith("rollout restart deployment/istiod")


def test_a_root_is_missed_in_a_namespace_of_the_users_own():
    def inject(item):
        item["metadata"]["labels"] = {"istio.io/rev": "default"}

    snapshot = edited(healthy(), "shanghai", "Namespace", "default", inject)
    assert no_root.run(snapshot) == []
    assert only(no_root, rootless(snapshot, "default")).evidence[0].endswith("in default")


@pytest.mark.parametrize(
    "change",
    [
        lambda s: s["metadata"].update(labels={}),
        lambda s: s["metadata"].update(labels={"istio-injection": "disabled"}),
        lambda s: s["metadata"].update(creationTimestamp="2026-09-21T14:13:00Z"),
        lambda s: s.update(status={"phase": "Terminating"}),
    ],
)
def test_namespaces_that_need_no_root_yet_or_any_more_are_left_alone(change):
    assert (
        no_root.run(
            edited(rootless(healthy(), "sample"), "shanghai", "Namespace", "sample", change)
        )
        == []
    )


@pytest.mark.parametrize(
    "env", [{"ENABLE_CLUSTER_TRUST_BUNDLE_API": "true"}, {"PILOT_CA_CERT_CONFIGMAP": "root"}]
)
def test_a_root_that_is_given_out_otherwise_is_not_missed(env):
    [istiod] = healthy().host.istiods
    made = changed(healthy(), "beijing", istiods=[istiod.model_copy(update={"env": env})])
    assert no_root.run(rootless(made, "sample")) == []


def test_what_was_not_listed_is_no_news():
    assert no_root.run(with_kind(healthy(), "shanghai", "ConfigMap", None)) == []
    assert no_root.run(with_kind(healthy(), "shanghai", "Namespace", None)) == []
    assert no_root.run(without(healthy(), "shanghai", "Namespace", "istio-system")) == []
    space = healthy().cluster("shanghai").objects["Namespace"][0]
    assert no_root.run(with_object(healthy(), "shanghai", space)) == []
