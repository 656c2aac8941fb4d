"""A mesh of three regions, built from nothing by one command."""

import base64
import json
import stat
import subprocess
import sys
from pathlib import Path

import pytest


def test_every_region_answers_every_other(mesh):
    clients = mesh.first["clients"]
    assert mesh.first["verdict"] == "pass"
    assert [c["cluster"] for c in clients] == ["lisbon", "nairobi", "osaka"]
    for client in clients:
        assert client["failed"] == 0
        assert client["requests"] == 100 == sum(client["answers"].values())
    pairs = {(c["cluster"], name) for c in clients for name, n in c["answers"].items() if n}
    assert len(pairs) == 9, "one host and two remotes, each has heard all three"
    assert len({c.network for c in mesh.environment.clusters}) == 3


def test_each_sidecar_knows_its_own_pods_and_the_other_networks_gateways(mesh):
    for client in mesh.first["clients"]:
        endpoints = client["endpoints"]
        assert endpoints["observed"] == endpoints["expected"]
        gateways = [e for e in endpoints["observed"] if e.endswith(":15443")]
        assert len(gateways) == 2 and len(endpoints["observed"]) == 3


def test_status_finds_nothing_wrong(mesh):
    document = mesh.isthmus.document("status", mesh.name)
    assert document["kind"] == "Status"


PROXIES = {
    "ALL_PROXY": "socks5://127.0.0.1:9",
    "https_proxy": "http://127.0.0.1:9",
    "NO_PROXY": "one.example",
    "no_proxy": "fe80::/10,[::1]",
}
"""As a shell has them where a proxy is dead; the lab needs none."""


def test_up_on_a_converged_environment_writes_nothing_whatever_proxies_are_set(mesh, monkeypatch):
    for name, value in PROXIES.items():
        monkeypatch.setitem(mesh.isthmus.env, name, value)
    before = {c.name: written(mesh, c.name) for c in mesh.environment.clusters}
    mesh.isthmus.document("up", mesh.file)
    after = {c.name: written(mesh, c.name) for c in mesh.environment.clusters}
    assert all(before.values()), "the audit log must have seen the first build"
    assert {c: after[c][len(before[c]) :] for c in after} == {c: [] for c in after}


def test_the_kubeconfig_has_a_context_a_cluster_and_is_private(mesh):
    path = mesh.isthmus.run("kubeconfig", mesh.name)[0].strip()
    assert stat.S_IMODE((mesh.folder / "kubeconfig").stat().st_mode) == 0o600
    assert path == str(mesh.folder / "kubeconfig")
    for cluster in mesh.environment.clusters:
        assert mesh.kubectl(cluster.name, "get", "nodes", "-o", "name").strip()


def test_cacerts_is_federated_with_one_root_and_an_intermediate_each(mesh):
    spec = json.loads(
        mesh.kubectl("lisbon", "-n", "istio-system", "get", "federatedsecret", "cacerts", "-ojson")
    )
    reached = {c["name"]: c.get("status", "") for c in spec["status"]["clusters"]}
    assert reached == {"lisbon": "", "nairobi": "", "osaka": ""}
    live = [secret(mesh, c.name, "istio-system", "cacerts") for c in mesh.environment.clusters]
    assert len({s["root-cert.pem"] for s in live}) == 1
    assert len({s["ca-key.pem"] for s in live}) == 3
    assert stat.S_IMODE((mesh.folder / "ca").stat().st_mode) == 0o700
    for path in (mesh.folder / "ca").rglob("*.pem"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_the_host_reads_remotes_as_reader_and_not_as_the_federation(mesh):
    for remote in mesh.environment.remotes:
        content = secret(mesh, "lisbon", "istio-system", f"istio-remote-secret-{remote.name}")[
            remote.name
        ]
        token = json.loads(content)["users"][0]["user"]["token"]
        claims = token.split(".")[1]
        decoded = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))
        assert decoded["sub"] == "system:serviceaccount:istio-system:istio-reader-service-account"


def test_the_sample_is_v1_on_the_host_and_v2_elsewhere(mesh):
    for cluster in mesh.environment.clusters:
        image = mesh.kubectl(
            cluster.name, "-n", "sample", "get", "deploy", "helloworld",
            "-o=jsonpath={.spec.template.spec.containers[0].image}",
        )  # fmt: skip
        assert ("-v1:" if cluster.name == "lisbon" else "-v2:") in image


def test_a_service_made_later_gets_an_address_too(mesh):
    mesh.kubectl("osaka", "create", "service", "loadbalancer", "later", "--tcp=80")
    try:
        mesh.kubectl(
            "osaka", "wait", "service/later", "--timeout=30s",
            "--for=jsonpath={.status.loadBalancer.ingress[0].ip}",
        )  # fmt: skip
    finally:
        mesh.kubectl("osaka", "delete", "service", "later")


def test_a_program_that_dies_in_a_region_comes_back(mesh):
    """The supervisor's work: the API server is killed, and answers again by itself."""
    region = mesh.folder / "regions" / "osaka"
    [pid] = processes_of(region, "kube-apiserver")
    subprocess.run(["kill", "-9", pid], check=True)
    mesh.isthmus.document("up", mesh.file)
    assert processes_of(region, "kube-apiserver") not in ([], [pid])


def test_a_region_knows_nothing_of_the_shell_that_made_it(mesh):
    for program in ("kube-apiserver", "kube-controller", "kubelet", "containerd"):
        [pid, *_] = processes_of(mesh.folder / "regions" / "osaka", program)
        said = Path(f"/proc/{pid}/environ").read_text().split("\0")
        names = {line.partition("=")[0] for line in said if line}
        ours = {"PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "PWD", "OLDPWD", "SHLVL", "_"}
        assert {name for name in names - ours if not name.startswith("SUPERVISOR_")} == set()


def test_no_secret_is_in_prefects_database_results_logs_or_output(mesh):
    needles = secrets_of(mesh)
    assert len(needles) > 10
    places = [*(mesh.isthmus.home / "server").rglob("*"), *mesh.folder.glob("runs/*")]
    places += [*(mesh.isthmus.home / "logs").rglob("*")]
    for path in (p for p in places if p.is_file()):
        content = path.read_bytes()
        assert not [n for n in needles if n.encode() in content], path
    assert not [n for n in needles if n in mesh.isthmus.output]


def test_no_packet_of_a_region_leaves_the_machine(mesh, outside):
    assert outside.escaped == []


@pytest.mark.skipif(sys.platform != "linux", reason="counts on Linux's outer interfaces")
def test_the_counter_on_the_outer_interface_can_count(outside):
    frame = bytes(12) + b"\x08\x00" + bytes(12) + bytes([198, 18, 0, 2, 192, 0, 2, 1])
    seen = type(outside)()
    seen.look(frame + bytes(20), "eth0")
    assert seen.escaped == ["eth0: 198.18.0.2"]


def written(mesh, cluster: str) -> list[str]:
    """Return what the administrator's account, which is ours, has written, as the server tells."""
    log = mesh.folder / "regions" / cluster / "logs" / "audit.log"
    events = [json.loads(line) for line in log.read_text().splitlines()]
    return [
        f"{e['verb']} {e['requestURI']}"
        for e in events
        if e["user"]["username"] == "admin" and not e["requestURI"].split("?")[0].endswith("/exec")
    ]


def secret(mesh, cluster: str, namespace: str, name: str) -> dict[str, str]:
    data = json.loads(mesh.kubectl(cluster, "-n", namespace, "get", "secret", name, "-ojson"))
    return {k: base64.b64decode(v).decode() for k, v in data["data"].items()}


def secrets_of(mesh) -> list[str]:
    """Return a line of every key, and every token."""
    keys = [p.read_text().splitlines()[1] for p in mesh.folder.rglob("*key*.pem")]
    keys += [p.read_text().splitlines()[1] for p in mesh.folder.glob("regions/*/pki/*.key")]
    tokens = [p.read_text() for p in mesh.folder.glob("regions/*/pki/*.token")]
    for remote in mesh.environment.remotes:
        name = f"istio-remote-secret-{remote.name}"
        content = json.loads(secret(mesh, "lisbon", "istio-system", name)[remote.name])
        tokens.append(content["users"][0]["user"]["token"])
    encoded = [base64.b64encode(key.encode()).decode()[4:40] for key in keys]
    return [*keys, *tokens, *encoded]


def processes_of(region, program: str) -> list[str]:
    """Return the process ids of a program of one region, as this machine sees them."""
    found = subprocess.run(["pgrep", "-x", program[:15]], text=True, capture_output=True)
    home = (region / "etc").stat()
    return [pid for pid in found.stdout.split() if _same(f"/proc/{pid}/root/run/region/etc", home)]


def _same(path: str, home) -> bool:
    import os

    try:
        return os.path.samestat(os.stat(path), home)
    except OSError:
        return False
