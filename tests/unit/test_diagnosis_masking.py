"""A snapshot can be sent to anybody: nothing that is secret is in it."""

import json

import pytest

from isthmus.diagnosis.masking import mask

CANARY = "canary-7f3a"
VARIABLE = {"name": "ISTIO_META_NETWORK", "value": "network1"}
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


def meta(**more):
    return {"name": "one", "namespace": "shop", **more}


@pytest.mark.parametrize(
    "item",
    [
        {"kind": "Secret", "metadata": meta(), "data": {"t": CANARY}, "stringData": {"a": CANARY}},
        {"kind": "ConfigMap", "metadata": meta(), "data": {"password": CANARY}},
        {
            "kind": "Pod",
            "metadata": meta(annotations={LAST_APPLIED: CANARY}),
            "spec": {
                "containers": [
                    {
                        "name": "app",
                        "image": "a",
                        "env": [{"name": "PASSWORD", "value": CANARY}],
                        "args": [f"--password={CANARY}"],
                        "command": [CANARY],
                        "livenessProbe": {"httpGet": {"httpHeaders": [{"value": CANARY}]}},
                    }
                ],
                "volumes": [{"name": "v", "csi": {"volumeAttributes": {"k": CANARY}}}],
            },
        },
        {
            "kind": "Deployment",
            "metadata": meta(managedFields=[{"manager": CANARY}]),
            "spec": {
                "template": {
                    "metadata": {"annotations": {"vault/token": CANARY}},
                    "spec": {"containers": [{"name": "app", "env": [{"value": CANARY}]}]},
                }
            },
        },
        {"kind": "FederatedSecret", "metadata": meta(), "spec": {"template": {"data": CANARY}}},
        {"kind": "Namespace", "metadata": {"name": "x", "annotations": {"owner": CANARY}}},
    ],
    ids=lambda item: item["kind"],
)  # fmt: skip
def test_what_may_be_secret_is_left_out(item):
    assert CANARY not in json.dumps(mask(item))


def test_what_istio_itself_sets_is_kept():
    pod = {
        "kind": "Pod",
        "metadata": meta(annotations={"sidecar.istio.io/status": "{}"}, labels={"app": "one"}),
        "spec": {"containers": [{"name": "istio-proxy", "env": [VARIABLE]}]},
        "status": {"phase": "Running"},
    }
    masked = mask(pod)
    assert masked["spec"]["containers"][0]["env"] == [VARIABLE]
    assert masked["metadata"]["annotations"] == {"sidecar.istio.io/status": "{}"}
    assert masked["status"] == {"phase": "Running"}


def test_a_secret_is_told_of_by_its_keys():
    secret = {"kind": "Secret", "metadata": meta(), "type": "Opaque", "data": {"b": "", "a": ""}}
    assert mask(secret)["keys"] == ["a", "b"]


@pytest.mark.parametrize(
    ("kind", "spec"),
    [
        (
            "VirtualService",
            {"http": [{"headers": {"request": {"set": {"authorization": CANARY}}}}]},
        ),
        ("VirtualService", {"http": [{"match": [{"headers": {"x-api-key": {"exact": CANARY}}}]}]}),
        (
            "EnvoyFilter",
            {"configPatches": [{"patch": {"operation": "ADD", "value": {"c": CANARY}}}]},
        ),
        (
            "AuthorizationPolicy",
            {"rules": [{"when": [{"key": "request.headers[x-api-key]", "values": [CANARY]}]}]},
        ),
        ("RequestAuthentication", {"jwtRules": [{"issuer": "a", "jwks": CANARY}]}),
        ("Pod", {"ephemeralContainers": [{"name": "debug", "env": [{"value": CANARY}]}]}),
        (
            "Pod",
            {
                "containers": [
                    {"name": "istio-proxy", "env": [{"name": "DD_API_KEY", "value": CANARY}]},
                    {"name": "app", "readinessProbe": {"httpGet": {"httpHeaders": [CANARY]}}},
                ]
            },
        ),
    ],
)
def test_what_rules_and_proxies_quote_of_secrets_is_left_out(kind, spec):
    masked = mask({"kind": kind, "metadata": meta(), "spec": spec})
    assert CANARY not in json.dumps(masked)


def test_of_a_rule_all_else_stays():
    spec = {"hosts": ["a"], "http": [{"route": [{"destination": {"host": "b", "subset": "v1"}}]}]}
    assert mask({"kind": "VirtualService", "metadata": meta(), "spec": spec})["spec"] == spec
