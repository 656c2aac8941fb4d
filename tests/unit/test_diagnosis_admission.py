"""diagnose names why pods are not created, or are created without a sidecar."""

import base64

import pytest
from snapshot_objects import service, slice_of, thing
from snapshots import changed, edited, healthy, root_pem, with_kind, with_object, without

from isthmus.diagnosis.analyzers import admission, injection
from isthmus.diagnosis.snapshot import AdmissionResult

MODULES = (injection, admission)
INJECTOR = "istio-sidecar-injector"
MUTATING = "MutatingWebhookConfiguration"
CALLED = (
    'Internal error occurred: failed calling webhook "namespace.sidecar-injector.istio.io": failed '
    'to call webhook: Post "https://istiod.istio-system.svc:443/inject/cluster/shanghai?timeout=10s'
    '": '
)


def diagnose(snapshot, wanted=""):
    every = [c for module in MODULES for c in module.ANALYZERS]
    found = [failure for check in every for failure in check.run(snapshot)]
    return [f for f in found if f.id == wanted] if wanted else found


def refused(message, name="shanghai", snapshot=None, **more):
    result = AdmissionResult(namespace="sample", message=message, status=500, **more)
    return changed(snapshot or healthy(), name, admission=[result])


def bundled(text, name="shanghai"):
    def change(item):
        for hook in item["webhooks"]:
            hook["clientConfig"]["caBundle"] = text

    return edited(healthy(), name, MUTATING, INJECTOR, change)


@pytest.mark.parametrize("arguments", [(1,), (2,), (1, "guide"), (2, "istio-1.31", "direct")])
def test_a_healthy_mesh_has_no_finding(arguments):
    assert diagnose(healthy(*arguments)) == []


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("", "its caBundle is empty"),
        ("Cg==", "its caBundle is empty"),
        ("not base64!", "holds no certificates"),
        (base64.b64encode(b"-----BEGIN CERTIFICATE-----").decode(), "holds no certificates"),
        (base64.b64encode(root_pem("other").encode()).decode(), "its caBundle is L=other"),
    ],
)
def test_a_bundle_that_does_not_verify_istiod_is_named(text, word):
    [found] = diagnose(bundled(text))
    assert (found.id, found.clusters) == ("F09", ("shanghai",))
    assert found.object == f"{MUTATING} {INJECTOR}"
    assert any(word in line for line in found.evidence)
    assert found.fix.splitlines()[0] == "isthmus up pair"


def test_a_bundle_of_two_roots_with_the_right_one_is_no_failure():
    both = root_pem("other") + root_pem()
    assert diagnose(bundled(base64.b64encode(both.encode()).decode())) == []


def test_an_api_server_that_does_not_trust_istiod_is_told_in_its_own_words():
    said = CALLED + "tls: failed to verify certificate: x509: certificate signed by unknown"
    [found] = diagnose(refused(said))
    assert found.id == "F09"
    assert found.evidence == (said,)


@pytest.mark.parametrize(
    ("said", "word", "certain"),
    [
        ("context deadline exceeded", "firewall", False),
        ("dial tcp 10.101.0.3:443: i/o timeout", "firewall", False),
        ("dial tcp 10.101.0.3:443: connect: no route to host", "firewall", False),
        ("dial tcp 10.101.0.3:443: connect: connection refused", "nothing listens", True),
        ('no endpoints available for service "istiod"', "leads to nobody", True),
        ('service "istiod" not found', "is missing", True),
    ],
)
def test_an_api_server_that_does_not_reach_istiod_is_named_with_where_it_calls(said, word, certain):
    [found] = diagnose(refused(CALLED + said))
    assert (found.id, found.clusters, found.certain) == ("F10", ("shanghai",), certain)
    assert word in found.cause
    assert "the Service istiod leads to 198.18.1.200:15017" in found.evidence
    assert "isthmus up pair" in found.fix


def test_an_api_server_that_did_not_answer_the_dry_run_in_time_waits_for_a_webhook():
    [found] = diagnose(refused("cannot POST /api/v1/...: Read timed out. (read timeout=5.0)"))
    assert (found.id, found.certain) == ("F10", False)
    assert "either 198.18.1.200:15017 sends nothing back" in found.cause


def test_a_deployment_whose_pods_cannot_be_injected_is_seen_too():
    def change(item):
        said = CALLED + "context deadline exceeded"
        condition = {"type": "ReplicaFailure", "status": "True", "message": said}
        item["status"]["conditions"] = [condition]

    snapshot = edited(healthy(), "shanghai", "Deployment", "istio-eastwestgateway", change)
    [found] = diagnose(snapshot)
    assert (found.id, found.object) == ("F10", "Deployment istio-system/istio-eastwestgateway")


def test_a_missing_injector_is_named_and_one_that_was_not_listed_is_not():
    snapshot = without(healthy(), "shanghai", MUTATING, INJECTOR)
    [found] = diagnose(snapshot)
    assert (found.id, found.clusters, found.fix) == ("F57", ("shanghai",), "isthmus up pair")
    assert diagnose(with_kind(snapshot, "shanghai", MUTATING, None)) == []


def bare(snapshot=None):
    result = AdmissionResult(namespace="sample", allowed=True, injected=False, status=201)
    return changed(snapshot or healthy(), "shanghai", admission=[result])


@pytest.mark.parametrize("labels", [{}, {"istio-injection": "disabled"}])
def test_a_namespace_without_its_label_is_named(labels):
    def change(item):
        item["metadata"]["labels"] = labels

    [found] = diagnose(bare(edited(healthy(), "shanghai", "Namespace", "sample", change)))
    assert (found.id, found.object, found.certain) == ("F57", "Namespace sample", True)
    assert "lacks the label istio-injection=enabled" in found.cause


def test_a_labelled_namespace_without_injection_has_two_possible_causes():
    [found] = diagnose(bare())
    assert found.id == "F57" and not found.certain
    assert found.cause.startswith("either the injector's failurePolicy is Ignore")


def test_a_revision_that_no_injector_has_is_told():
    def change(item):
        item["metadata"]["labels"] = {"istio.io/rev": "canary"}

    [found] = diagnose(bare(edited(healthy(), "shanghai", "Namespace", "sample", change)))
    assert found.cause == "no webhook of an injector selects the namespace's labels"


def webhook(kind=MUTATING, resources=("pods",), **more):
    hook = {
        "name": "policy.example.com",
        "clientConfig": {"service": {"name": "policy", "namespace": "policies"}},
        "failurePolicy": "Fail",
        "rules": [
            {"operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"]}
            | {"resources": list(resources)}
        ],
        **more,
    }
    return thing(kind, "policy", webhooks=[hook])


def with_webhook(**more):
    return with_object(healthy(), "shanghai", webhook(**more))


@pytest.mark.parametrize("kind", [MUTATING, "ValidatingWebhookConfiguration"])
def test_a_webhook_without_its_service_is_named_with_how_to_remove_it(kind):
    [found] = diagnose(with_webhook(kind=kind))
    assert (found.id, found.severity, found.clusters) == ("F41", "error", ("shanghai",))
    assert "there is no Service policies/policy" in found.evidence
    assert found.fix.startswith(f"kubectl --context shanghai delete {kind.lower()} policy")


def test_a_webhook_whose_service_has_no_ready_endpoint_or_not_its_port_is_named():
    snapshot = with_webhook()
    there = service("policy", "policies", "10.101.0.9", [("https", 443, 8443)])
    snapshot = with_object(snapshot, "shanghai", there)
    [found] = diagnose(snapshot)
    assert "Service policies/policy has no ready endpoint" in found.evidence
    ready = slice_of("policy", "policies", ["10.11.0.50"], [("https", 8443)])
    assert diagnose(with_object(snapshot, "shanghai", ready)) == []
    other = service("policy", "policies", "10.101.0.9", [("https", 8080, 8443)])
    [found] = diagnose(with_object(snapshot, "shanghai", other))
    assert "Service policies/policy has no port 443" in found.evidence


@pytest.mark.parametrize(
    "more",
    [
        {"failurePolicy": "Ignore"},
        {"resources": ["leases"]},
        {"resources": ["pods/exec"]},
        {"clientConfig": {"url": "https://policy.example.com"}},
        {"namespaceSelector": {"matchLabels": {"team": "blue"}}},
        {
            "namespaceSelector": {
                "matchExpressions": [
                    {
                        "key": "kubernetes.io/metadata.name",
                        "operator": "NotIn",
                        "values": ["istio-system", "sample"],
                    }
                ]
            }
        },
    ],
)
def test_a_dead_webhook_that_is_not_asked_about_the_meshs_pods_is_no_failure(more):
    assert diagnose(with_webhook(**more)) == []


def test_a_dead_webhook_for_some_pods_or_for_services_alone_is_a_warning():
    for more in ({"objectSelector": {"matchLabels": {"x": "y"}}}, {"resources": ["services"]}):
        assert [f.severity for f in diagnose(with_webhook(**more))] == ["warning"]


def test_several_dead_webhooks_of_one_configuration_are_one_finding_as_bad_as_the_worst():
    item = webhook(resources=["services"])
    item["webhooks"] += [{**hook, "name": "pods.example.com"} for hook in webhook()["webhooks"]]
    [found] = diagnose(with_object(healthy(), "shanghai", item))
    assert found.severity == "error"
    assert sum("failurePolicy Fail" in line for line in found.evidence) == 2


def test_a_webhook_that_has_refused_a_pod_is_an_error_with_the_refusal():
    said = 'failed calling webhook "policy.example.com": failed to call webhook: timeout'
    snapshot = with_object(refused(said), "shanghai", webhook(objectSelector={"matchLabels": {}}))
    [found] = diagnose(snapshot)
    assert (found.id, found.severity) == ("F41", "error")
    assert f"Pod in sample (dry run): {said}" in found.evidence


def test_a_webhook_that_is_there_and_gives_no_answer_is_named_by_the_refusal():
    said = 'failed calling webhook "policy.example.com": failed to call webhook: timeout'
    [found] = diagnose(refused(said))
    assert (found.id, found.object) == ("F41", "webhook policy.example.com")


@pytest.mark.parametrize(
    ("said", "word"),
    [
        (
            'pods "x" is forbidden: violates PodSecurity "restricted:latest": non-default '
            'capabilities (container "istio-init" must not include "NET_ADMIN")',
            "Pod Security Admission",
        ),
        ('pods "x" is forbidden: exceeded quota: small, requested: pods=1', "ResourceQuota"),
        ('pods "x" is forbidden: failed quota: q: must specify limits.cpu for: istio-proxy',
         "ResourceQuota"),
        ('pods "x" is forbidden: maximum cpu usage per Container is 1, but limit is 2',
         "LimitRange"),
        ('admission webhook "v.gatekeeper.sh" denied the request: [no-root]', "gatekeeper"),
    ],
)  # fmt: skip
def test_a_refusal_by_a_policy_is_told_in_its_own_words(said, word):
    [found] = diagnose(refused(said))
    assert (found.id, found.clusters, found.evidence) == ("F42", ("shanghai",), (said,))
    assert word in found.cause
    assert found.fix.startswith("kubectl --context shanghai ")


@pytest.mark.parametrize(
    "said",
    [
        'violates PodSecurity "restricted:latest": runAsNonRoot != true (container "diagnose" '
        "must set securityContext.runAsNonRoot=true)",
        'pods is forbidden: User "viewer" cannot create resource "pods" in API group ""',
        "the server is currently unable to handle the request",
    ],
)
def test_what_is_only_about_the_dry_run_itself_is_no_failure(said):
    assert diagnose(refused(said)) == []


def test_kubelets_that_the_api_server_does_not_reach_are_a_warning():
    said = "error dialing backend: dial tcp 172.16.0.2:10250: i/o timeout"
    [found] = diagnose(changed(healthy(), "shanghai", kubelet_errors=[said]))
    assert (found.id, found.severity, found.evidence) == ("F43", "warning", (said,))
    assert "10250" in found.fix


def test_kubelets_without_a_certificate_are_told_apart():
    said = "error dialing backend: remote error: tls: internal error"
    [found] = diagnose(changed(healthy(), "shanghai", kubelet_errors=[said]))
    assert "certificate approve" in found.fix and found.certain
