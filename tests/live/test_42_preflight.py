"""Clusters that exist are looked at first: each thing that can be wrong is told, nothing stays."""

import base64
import copy
import json
import os
import signal

import pytest
import yaml
from live import rancher
from live.accounts import account, changed, expired, forwarded, listed_role, server_of
from live.bare import client, environment_of, everything, regions
from live.unkind import bridge_of

from isthmus.polling import until
from isthmus.providers.kubeconfig import probe_namespace

NOWHERE = "https://10.255.255.1:6443"
"""A private address that leads nowhere, as of a network that is not peered."""


@pytest.fixture(scope="module")
def clusters(isthmus, tmp_path_factory):
    """Two bare regions, known by kubeconfig alone; as they were, at the end."""
    folder = tmp_path_factory.mktemp("looked-at")
    with regions(isthmus, folder, "bare", ["one", "two"]) as made:
        yield made


@pytest.fixture
def as_before(clusters):
    """See at the end that nothing was left in any cluster."""
    before = everything(clusters)
    yield
    after = everything(clusters)
    assert {c: sorted(after[c] ^ before[c]) for c in before} == {"one": [], "two": []}


def environment(folder, clusters, federation="kubefed", **two):
    """Write the environment file; `two` are more keys of the remote."""
    file = environment_of(folder / "theirs.yaml", "theirs", clusters, federation)
    content = yaml.safe_load(file.read_text())
    content["remotes"][0] |= two
    file.write_text(yaml.safe_dump(content))
    return file


def refused(isthmus, file, code: int) -> list[dict]:
    """Return the refusals, each of which has something to do about it."""
    found = isthmus.document("preflight", file, code=code)
    assert all(refusal["do"] for refusal in found["refusals"])
    assert found["verdict"] == "fail"
    return found["refusals"]


def test_sound_clusters_pass_and_nothing_is_left_in_them(isthmus, clusters, as_before, tmp_path):
    found = isthmus.document("preflight", environment(tmp_path, clusters))
    assert found["verdict"] == "pass" and found["refusals"] == []


def test_a_revoked_token_is_told(isthmus, clusters, as_before, tmp_path):
    with account("two", clusters["two"], listed_role(), tmp_path) as kubeconfig:
        pass
    file = environment(tmp_path, {**clusters, "two": kubeconfig})
    [found] = refused(isthmus, file, 69)
    assert found["cluster"] == "two" and "HTTP 401" in found["text"] and "revoked" in found["text"]


def test_an_expired_certificate_is_told(isthmus, clusters, as_before, tmp_path):
    old = changed(clusters["two"], tmp_path / "old", user=expired(clusters["two"]))
    [found] = refused(isthmus, environment(tmp_path, {**clusters, "two": old}), 69)
    assert found["cluster"] == "two" and "the certificate expired on" in found["text"]


def test_a_missing_right_is_named_with_its_verb_resource_and_group(
    isthmus, clusters, as_before, tmp_path
):
    role = copy.deepcopy(listed_role())
    [hooks] = [r for r in role["rules"] if "mutatingwebhookconfigurations" in r["resources"]]
    hooks["verbs"].remove("create")
    with account("two", clusters["two"], role, tmp_path) as kubeconfig:
        file = environment(tmp_path, {**clusters, "two": kubeconfig})
        [found] = refused(isthmus, file, 69)
    group = "(admissionregistration.k8s.io)"
    assert found["text"].endswith(
        f"lacks permissions: create mutatingwebhookconfigurations {group}, "
        f"create validatingwebhookconfigurations {group}"
    )


def test_servers_that_nobody_reaches_are_told_all_at_once(isthmus, clusters, as_before, tmp_path):
    host = server_of(clusters["one"]).removesuffix(":6443")
    silent = {
        "one": changed(clusters["one"], tmp_path / "closed", server=f"{host}:6444"),
        "two": changed(clusters["two"], tmp_path / "unnamed", server="https://api.invalid:6443"),
    }
    one, two = refused(isthmus, environment(tmp_path, silent), 69)
    assert one["cluster"] == "one" and "connection refused" in one["text"]
    assert two["cluster"] == "two" and "DNS" in two["text"]
    assert {one["kind"], two["kind"]} == {"ClusterUnreachable"}


def test_a_certificate_of_another_authority_is_told(isthmus, clusters, as_before, tmp_path):
    authority = json.loads(clusters["one"].read_text())["clusters"][0]["cluster"]
    wrong = changed(
        clusters["two"],
        tmp_path / "wrong",
        **{"certificate-authority-data": authority["certificate-authority-data"]},
    )
    [found] = refused(isthmus, environment(tmp_path, {**clusters, "two": wrong}), 69)
    assert "TLS fails" in found["text"] and "CA" in found["do"]


def test_one_cluster_by_two_names_is_told(isthmus, clusters, as_before, tmp_path):
    copied = json.loads(clusters["one"].read_text())
    copied["contexts"][0]["name"] = copied["current-context"] = "two"
    (tmp_path / "copy").write_text(json.dumps(copied))
    file = environment(tmp_path, {"one": clusters["one"], "two": tmp_path / "copy"})
    [found] = refused(isthmus, file, 65)
    assert found["cluster"] == "two" and "same cluster as one" in found["text"]


def test_a_server_on_loopback_is_refused_unless_another_address_is_said(
    isthmus, clusters, as_before, tmp_path
):
    server = server_of(clusters["two"])
    with forwarded(server) as tunnel:
        near = {**clusters, "two": changed(clusters["two"], tmp_path / "near", server=tunnel)}
        [found] = refused(isthmus, environment(tmp_path, near), 65)
        assert "loopback" in found["text"] and "server:" in found["do"]
        isthmus.document("preflight", environment(tmp_path, near, server=server))


def test_a_private_address_that_the_hosts_pods_do_not_reach_is_refused(
    isthmus, clusters, as_before, tmp_path
):
    [found] = refused(isthmus, environment(tmp_path, clusters, server=NOWHERE), 65)
    assert found["cluster"] == "two" and "pods of one" in found["text"]
    assert "private address" in found["text"] and "server:" in found["do"]


@pytest.mark.parametrize("takes", [True, False], ids=["passes tokens on", "knows its own alone"])
def test_an_address_below_a_path_is_taken_if_serviceaccounts_log_in_there(
    isthmus, clusters, as_before, tmp_path, takes
):
    cluster = json.loads(clusters["two"].read_text())["clusters"][0]["cluster"]
    own = base64.b64decode(cluster["certificate-authority-data"]).decode()
    token = json.loads(clusters["two"].read_text())["users"][0]["user"]["token"]
    at = bridge_of(isthmus, "bare")
    with rancher.before(cluster["server"], tmp_path, at, "" if takes else token) as (url, proxys):
        both = base64.b64encode(f"{proxys}{own}".encode()).decode()
        known = changed(clusters["two"], tmp_path / "two", **{"certificate-authority-data": both})
        file = environment(tmp_path, {**clusters, "two": known}, server=url)
        if takes:
            assert isthmus.document("preflight", file)["verdict"] == "pass"
        else:
            [found] = refused(isthmus, file, 65)
            assert found["cluster"] == "two" and url in found["text"]
            assert "HTTP 401: must authenticate" in found["text"]
            assert "authorized cluster endpoint" in found["do"]


def test_a_load_balancer_without_addresses_is_told(isthmus, clusters, as_before, tmp_path):
    service = {"loadBalancerClass": "example.com/nobody"}
    gateway = {"name": "istio-eastwestgateway", "k8s": {"service": service}}
    file = environment(tmp_path, clusters)
    content = yaml.safe_load(file.read_text())
    content["overlays"]["remote"]["components"] = {"ingressGateways": [gateway]}
    content["timeouts"] = {"load_balancer": 5}
    file.write_text(yaml.safe_dump(content))
    [found] = refused(isthmus, file, 69)
    assert found["cluster"] == "two"
    assert "LoadBalancer got no address within 5 s" in found["text"]


def test_pod_security_that_refuses_a_sidecar_is_told_and_the_key_helps(
    isthmus, clusters, as_before, tmp_path
):
    file = environment(tmp_path, clusters)
    content = yaml.safe_load(file.read_text())
    level = "pod-security.kubernetes.io/enforce"
    content["namespaces"] = {"labels": {level: "baseline"}}
    file.write_text(yaml.safe_dump(content))
    found = refused(isthmus, file, 69)
    assert {refusal["cluster"] for refusal in found} == {"one", "two"}
    assert all("violates PodSecurity" in r["text"] and "NET_ADMIN" in r["text"] for r in found)
    assert all(f"{level}: privileged" in r["do"] for r in found)
    content["namespaces"] = {"labels": {level: "privileged"}}
    file.write_text(yaml.safe_dump(content))
    isthmus.document("preflight", file)


def test_leftovers_of_another_mesh_are_told_together(isthmus, clusters, as_before, tmp_path):
    cluster = client("one", clusters["one"])
    meta = {"name": "istio-sidecar-injector-old"}
    service = {"namespace": "istio-old", "name": "istiod", "path": "/inject"}
    webhook = {
        "name": "namespace.sidecar-injector.istio.io",
        "clientConfig": {"service": service},
        "failurePolicy": "Fail",
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
        "namespaceSelector": {"matchLabels": {"istio-injection": "enabled"}},
    }
    theirs = [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "istio-system"}},
        {
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "MutatingWebhookConfiguration",
            "metadata": meta,
            "webhooks": [webhook],
        },
    ]
    cluster.apply(theirs, owner="")
    try:
        space, hook = refused(isthmus, environment(tmp_path, clusters), 69)
    finally:
        for manifest in theirs:
            cluster.delete(manifest)
        await_end(cluster, "istio-system")
    assert "Namespace istio-system" in space["text"] and "somebody else" in space["text"]
    assert "istio-old/istiod does not exist" in hook["text"] and "kubectl delete" in hook["do"]


def test_what_a_killed_look_leaves_is_removed_by_the_next(isthmus, clusters, as_before, tmp_path):
    file, cluster = environment(tmp_path, clusters), client("one", clusters["one"])
    process = isthmus.start("preflight", file)
    until(lambda: cluster.get("Namespace", probe_namespace.NAMESPACE), "the probe", timeout=60)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert cluster.get("Namespace", probe_namespace.NAMESPACE)
    isthmus.document("preflight", file)


def test_an_interrupted_look_takes_its_probes_away(isthmus, clusters, as_before, tmp_path):
    file, cluster = environment(tmp_path, clusters), client("one", clusters["one"])
    process = isthmus.start("preflight", file)
    until(lambda: cluster.get("Namespace", probe_namespace.NAMESPACE), "the probe", timeout=60)
    process.send_signal(signal.SIGINT)
    process.communicate()
    assert process.returncode == 130
    for name, kubeconfig in clusters.items():
        await_end(client(name, kubeconfig), probe_namespace.NAMESPACE)


def test_an_account_with_the_listed_rights_builds_verifies_and_takes_away(
    isthmus, clusters, as_before, tmp_path
):
    role = listed_role()
    with (
        account("one", clusters["one"], role, tmp_path) as one,
        account("two", clusters["two"], role, tmp_path) as two,
    ):
        file = environment(tmp_path, {"one": one, "two": two})
        assert isthmus.document("up", file)["verdict"] == "pass"
        before = {name: written(path) for name, path in clusters.items()}
        assert isthmus.document("up", file)["verdict"] == "pass"
        after = {name: written(path) for name, path in clusters.items()}
        assert all(before.values()), "the audit log must have seen the build"
        assert after == before, "on what stands nothing is probed and nothing written"
        isthmus.run("down", "theirs")


def await_end(cluster, namespace: str) -> None:
    until(lambda: None if cluster.get("Namespace", namespace) else True, "its end", timeout=60)


def written(kubeconfig) -> list[str]:
    """Return what our account has written, as the server tells; questions about rights are none."""
    lines = (kubeconfig.parent / "logs/audit.log").read_text().splitlines()
    asking = ("/exec", "/selfsubjectaccessreviews")
    return [
        f"{e['verb']} {e['requestURI']}"
        for e in map(json.loads, lines)
        if e["user"]["username"].endswith(":isthmus-builder")
        and not e["requestURI"].split("?")[0].endswith(asking)
    ]
