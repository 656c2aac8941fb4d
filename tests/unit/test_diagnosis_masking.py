"""A snapshot can be sent to anybody: nothing that is secret is in it."""

import json

import pytest

from isthmus.diagnosis.masking import mask

CANARY = "canary-7f3a"
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
        "spec": {"containers": [{"name": "istio-proxy", "env": [{"name": "A", "value": "b"}]}]},
        "status": {"phase": "Running"},
    }
    masked = mask(pod)
    assert masked["spec"]["containers"][0]["env"] == [{"name": "A", "value": "b"}]
    assert masked["metadata"]["annotations"] == {"sidecar.istio.io/status": "{}"}
    assert masked["status"] == {"phase": "Running"}


def test_a_secret_is_told_of_by_its_keys():
    secret = {"kind": "Secret", "metadata": meta(), "type": "Opaque", "data": {"b": "", "a": ""}}
    assert mask(secret)["keys"] == ["a", "b"]
