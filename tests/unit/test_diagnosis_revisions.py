"""Versions, revisions and discoverySelectors that do not go together: F25, F30."""

import pytest
from snapshot_objects import thing
from snapshots import changed, edited, healthy, with_kind, with_object, without

from isthmus.diagnosis.analyzers.discovery_selectors import not_discovered
from isthmus.diagnosis.analyzers.revisions import skew

INJECTOR = "istio-sidecar-injector"


def only(check, snapshot):
    [found] = check.run(snapshot)
    return found


def proxies(snapshot, name, version, kinds=("sidecar",)):
    found = snapshot.cluster(name).proxies
    made = [p.model_copy(update={"version": version}) if p.kind in kinds else p for p in found]
    return changed(snapshot, name, proxies=made)


def istiods(snapshot, *versions):
    [one] = snapshot.host.istiods
    made = [one.model_copy(update={"version": v, "pod": f"istiod-{v}"}) for v in versions]
    return changed(snapshot, "beijing", istiods=made)


@pytest.mark.parametrize("stack", ["istio-1.31", "guide"])
@pytest.mark.parametrize("check", [skew, not_discovered])
def test_the_parts_of_a_healthy_mesh_go_together(stack, check):
    assert check.run(healthy(2, stack)) == []


# F25


@pytest.mark.parametrize("version", ["1.31.4", "1.31-dev", "", "unknown", "latest", "0.0.0"])
def test_other_patches_and_unknown_versions_are_no_skew(version):
    assert skew.run(proxies(healthy(), "shanghai", version)) == []


@pytest.mark.parametrize(
    ("version", "severity"),
    [("1.30.3", "warning"), ("1.29.0", "error"), ("1.32.0", "error"), ("2.0.0", "error")],
)
def test_proxies_one_minor_behind_are_warned_of_and_others_do_not_work(version, severity):
    found = only(skew, proxies(healthy(), "shanghai", version))
    assert (found.id, found.severity, found.clusters) == ("F25", severity, ("shanghai",))
    assert found.evidence[0] == "beijing: istiod 1.31.0"
    assert found.evidence[1].startswith(f"shanghai: Istio {version} in sample/helloworld-7c-1")
    assert found.fix.splitlines()[-1] == (
        "kubectl --context shanghai -n sample rollout restart deployment"
    )


def test_a_gateway_of_an_old_version_is_seen():
    found = only(skew, proxies(healthy(), "shanghai", "1.29.0", ("gateway",)))
    assert "istio-system/istio-eastwestgateway-6d-1" in found.evidence[1]


def test_replicas_of_istiod_of_two_minors_are_told():
    found = only(skew, istiods(healthy(), "1.31.0", "1.32.0"))
    assert found.clusters == ("beijing",)
    assert "istio-system/istiod-1.32.0" in found.evidence[1]


def test_a_webhook_of_a_revision_that_is_not_installed_leads_to_no_service():
    def canary(item):
        item["metadata"] |= {"name": f"{INJECTOR}-canary", "labels": {"istio.io/rev": "canary"}}
        for hook in item["webhooks"]:
            hook["clientConfig"]["service"]["name"] = "istiod-canary"

    found = healthy().cluster("shanghai").objects["MutatingWebhookConfiguration"]
    snapshot = edited(healthy(), "shanghai", "MutatingWebhookConfiguration", INJECTOR, canary)
    snapshot = with_object(snapshot, "shanghai", found[0])
    told = only(skew, snapshot)
    assert told.object == "Service istio-system/istiod-canary"
    assert told.evidence[1].startswith(f"MutatingWebhookConfiguration {INJECTOR}-canary: rev.")
    assert told.fix == (
        "kubectl --context shanghai delete mutatingwebhookconfiguration "
        "istio-sidecar-injector-canary"
    )


def test_isthmus_own_webhook_is_mended_by_isthmus():
    found = only(skew, without(healthy(), "beijing", "Service", "istiod"))
    assert (found.severity, found.fix) == ("error", "isthmus up pair")


def test_a_remotes_missing_service_istiod_is_told_as_that():
    assert skew.run(without(healthy(), "shanghai", "Service", "istiod")) == []


def test_webhooks_of_others_are_no_revisions():
    hook = {"name": "a.example.com", "clientConfig": {"service": {"name": "x", "namespace": "y"}}}
    other = thing("MutatingWebhookConfiguration", "other", webhooks=[hook])
    assert skew.run(with_object(healthy(), "shanghai", other)) == []


def revision(snapshot, labels, name="default"):
    def change(item):
        item["metadata"]["labels"] = labels

    return edited(snapshot, "shanghai", "Namespace", name, change)


def test_a_namespace_that_asks_for_a_revision_that_nobody_serves_is_named():
    found = only(skew, revision(healthy(), {"istio.io/rev": "canary"}))
    assert found.object == "Namespace default"
    assert "injectors are of the revisions default" in found.evidence[1]
    assert found.fix.endswith("label namespace default istio.io/rev- istio-injection=enabled")


def test_labels_of_isthmus_own_namespaces_are_made_right_by_isthmus():
    found = only(skew, revision(healthy(), {"istio.io/rev": "canary"}, "sample"))
    assert (found.object, found.fix) == ("Namespace sample", "isthmus up pair")


@pytest.mark.parametrize(
    "labels",
    [
        {"istio.io/rev": "default"},
        {"istio.io/rev": "canary", "istio-injection": "enabled"},
        {"istio.io/rev": "canary", "istio.io/dataplane-mode": "ambient"},
    ],
)
def test_a_namespace_that_somebody_serves_is_left_alone(labels):
    assert skew.run(revision(healthy(), labels)) == []


def test_a_tag_of_a_revision_serves_as_well():
    tag = thing(
        "MutatingWebhookConfiguration",
        "istio-revision-tag-prod",
        labels={"istio.io/rev": "default", "istio.io/tag": "prod"},
        webhooks=[],
    )
    snapshot = with_object(healthy(), "shanghai", tag)
    assert skew.run(revision(snapshot, {"istio.io/rev": "prod"})) == []


@pytest.mark.parametrize("kind", ["Service", "MutatingWebhookConfiguration", "Namespace"])
def test_what_was_not_listed_is_no_news(kind):
    snapshot = revision(healthy(), {"istio.io/rev": "canary"})
    snapshot = with_kind(snapshot, "shanghai", kind, None)
    assert [f for f in skew.run(snapshot) if f.object != "Namespace default"] == []


# F30


def selecting(snapshot, *selectors):
    [istiod] = snapshot.host.istiods
    mesh = {**istiod.mesh, "discoverySelectors": [*selectors]}
    return changed(snapshot, "beijing", istiods=[istiod.model_copy(update={"mesh": mesh})])


def test_a_namespace_of_the_mesh_that_no_selector_selects_is_named():
    found = not_discovered.run(
        selecting(healthy(), {"matchLabels": {"istio-injection": "enabled"}})
    )
    assert [(f.id, f.clusters, f.object) for f in found] == [
        ("F30", ("beijing",), "Namespace istio-system"),
        ("F30", ("shanghai",), "Namespace istio-system"),
    ]
    assert found[0].evidence[0] == "beijing: discoverySelectors istio-injection=enabled"
    assert found[0].fix.splitlines() == [
        "# put into the environment file: namespaces: {labels: {istio-injection: enabled}}; then:",
        "isthmus up pair",
    ]


def test_a_namespace_of_the_users_own_gets_the_label_by_kubectl():
    isthmus = {"matchLabels": {"isthmus/environment": "pair"}}
    snapshot = selecting(revision(healthy(), {"istio-injection": "enabled"}), isthmus)
    found = only(not_discovered, snapshot)
    assert found.object == "Namespace default"
    assert found.fix == (
        "kubectl --context shanghai label namespace default isthmus/environment=pair --overwrite"
    )


@pytest.mark.parametrize(
    "selectors",
    [
        [],
        [{}],
        [
            {"matchLabels": {"istio-injection": "enabled"}},
            {"matchLabels": {"isthmus/environment": "pair"}},
        ],
        [{"matchExpressions": [{"key": "isthmus/environment", "operator": "Exists"}]}],
        [{"matchExpressions": [{"key": "skip", "operator": "DoesNotExist"}]}],
    ],
)
def test_selectors_that_select_the_mesh_are_right(selectors):
    assert not_discovered.run(selecting(healthy(), *selectors)) == []


def test_expressions_are_shown_where_no_label_can_be_named():
    rule = {"key": "team", "operator": "In", "values": ["a", "b"]}
    found = not_discovered.run(selecting(healthy(), {"matchExpressions": [rule]}))
    assert found[0].evidence[0] == "beijing: discoverySelectors team In a,b"
    assert "--show-labels" in found[0].fix
