"""Helm: written only when chart or values changed, and no value on the command line."""

import base64
import gzip
import json

import pytest

from isthmus.adapters import helm, shell
from isthmus.errors import NotReady, Rejected


@pytest.fixture(autouse=True)
def home(folders):
    return folders


@pytest.fixture
def ran(monkeypatch):
    calls = []
    monkeypatch.setattr(shell, "run", lambda argv, **more: calls.append((argv, more)))
    return calls


@pytest.fixture
def chart(tmp_path):
    (tmp_path / "Chart.yaml").write_text("version: 0.10.0")
    return tmp_path


def stand(client, argv):
    """Put the release there as Helm does, with the labels that the command gave it."""
    flag = next(a for a in map(str, argv) if a.startswith("--labels="))
    _, key, value = flag.split("=")
    labels = {"owner": "helm", "name": "kubefed", "status": "deployed", key: value}
    meta = {"name": "sh.helm.release.v1.kubefed.v1", "namespace": "space", "labels": labels}
    client.put({"apiVersion": "v1", "kind": "Secret", "metadata": meta})


def test_a_release_stands_until_its_values_or_its_chart_change(cluster, ran, chart):
    client, values = cluster(), {"a": 1, "b": 2}
    assert not helm.is_installed(client, "kubefed", "space", chart, values)
    helm.install(chart / "helm", client.access, "kubefed", "space", chart, values)
    stand(client, ran[0][0])
    assert helm.is_installed(client, "kubefed", "space", chart, {"b": 2, "a": 1})
    assert not helm.is_installed(client, "kubefed", "space", chart, {"a": 2})
    (chart / "Chart.yaml").write_text("version: 0.11.0")
    assert not helm.is_installed(client, "kubefed", "space", chart, values)


def test_a_release_that_failed_does_not_stand(cluster, ran, chart):
    client = cluster()
    helm.install(chart / "helm", client.access, "kubefed", "space", chart, {})
    stand(client, ran[0][0])
    next(iter(client.store.values()))["metadata"]["labels"]["status"] = "failed"
    assert not helm.is_installed(client, "kubefed", "space", chart, {})


def test_values_are_no_argument_and_the_cluster_is_named(cluster, ran, chart):
    access = cluster().access
    helm.install(chart / "helm", access, "kubefed", "space", chart, {"token": "canary"})
    helm.uninstall(chart / "helm", access, "kubefed", "space")
    for argv, more in ran:
        assert not any(str(access.kubeconfig) in str(word) for word in argv)
        assert any(str(word).startswith("--kubeconfig=") for word in argv)
        assert f"--kube-context={access.context}" in argv and "--namespace=space" in argv
        assert "canary" not in " ".join(map(str, argv))
        assert more["cluster"] == "beijing"
    assert "canary" in ran[0][1]["stdin"]


@pytest.mark.parametrize(
    ("status", "stays"), [("pending-install", False), ("pending-upgrade", False), ("failed", True)]
)
def test_an_operation_that_died_half_way_blocks_no_later_one(cluster, chart, status, stays):
    client = cluster()
    labels = {"owner": "helm", "name": "kubefed", "status": status}
    meta = {"name": "sh.helm.release.v1.kubefed.v1", "namespace": "space", "labels": labels}
    client.put({"apiVersion": "v1", "kind": "Secret", "metadata": meta})
    helm.prepare(client, "kubefed", "space", chart)
    assert bool(client.objects("Secret", "space")) is stays


@pytest.mark.parametrize(
    ("said", "error"),
    [
        (helm.CONCURRENT_ERRORS[0], NotReady),
        (helm.CONCURRENT_ERRORS[1], NotReady),
        ("403", Rejected),
    ],
)
def test_a_helm_that_outlived_its_killed_run_is_waited_for(
    cluster, chart, monkeypatch, said, error
):
    def refuse(argv, **more):
        raise Rejected(f"`helm` exited with 1: Error: {said}")

    monkeypatch.setattr(shell, "run", refuse)
    with pytest.raises(error):
        helm.install(chart / "helm", cluster().access, "kubefed", "space", chart, {})


RELEASE = """
apiVersion: v1
kind: ServiceAccount
metadata: {name: kubefed-controller, namespace: space}
---
apiVersion: core.kubefed.io/v1beta1
kind: KubeFedCluster
metadata: {name: one}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: kubefed-role}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: kubefed-controller-manager, namespace: space}
spec: {replicas: 0, paused: false}
"""


def record(status="deployed"):
    packed = gzip.compress(json.dumps({"manifest": RELEASE}).encode())
    twice = base64.b64encode(base64.b64encode(packed)).decode()
    labels = {"owner": "helm", "name": "kubefed", "status": status}
    meta = {"name": f"sh.helm.release.v1.kubefed.{status}", "namespace": "space", "labels": labels}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": meta, "data": {"release": twice}}


def test_a_release_that_changes_is_not_refused_by_its_own_webhooks(cluster, chart):
    client = cluster()
    hook = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": "validations.core.kubefed.io"},
    }
    client.put(hook)
    client.put({**hook, "metadata": {"name": "somebody-elses"}})
    release = record()
    packed = gzip.compress(json.dumps({"manifest": json.dumps(hook)}).encode())
    release["data"]["release"] = base64.b64encode(base64.b64encode(packed)).decode()
    client.put(release)
    helm.prepare(client, "kubefed", "space", chart)
    left = client.objects("ValidatingWebhookConfiguration", api=hook["apiVersion"])
    assert [w["metadata"]["name"] for w in left] == ["somebody-elses"]


def test_what_was_deleted_of_a_release_is_known_from_its_record_and_made_again(cluster, chart):
    client = cluster()
    client.put(record("superseded"))
    client.put(record())
    definition = "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\n"
    for part, name in ((chart, "things"), (chart / "charts" / "inner", "others")):
        (part / "crds").mkdir(parents=True)
        (part / "crds" / "crds.yaml").write_text(f"{definition}metadata: {{name: {name}}}\n")
    found = helm.get_manifest(client, "kubefed", "space", chart)
    assert [(m["kind"], m["metadata"].get("namespace")) for m in found] == [
        ("CustomResourceDefinition", None),
        ("CustomResourceDefinition", None),
        ("ServiceAccount", "space"),
        ("KubeFedCluster", "space"),
        ("ClusterRole", None),
        ("Deployment", "space"),
    ]
    assert found[-1]["spec"] == {"paused": False}, "whether it runs is not the chart's to say"
    assert len(client.apply(found, owner="", scale_up=False)) == 6
    client.delete(found[-1])
    assert client.apply(found, owner="", scale_up=False) == [
        "Deployment space/kubefed-controller-manager"
    ]
