"""The stack `guide`, live: Kubernetes 1.21.14 and Istio 1.7.2, where their files are to be had."""

import json
import subprocess

import pytest
from live.conftest import Mesh
from live.files import write
from live.test_10_mesh import written

from isthmus import binaries, releases, state
from isthmus.environment import load
from isthmus.errors import Unprepared
from isthmus.providers.lab import archives, defaults, kubernetes_release

CLUSTERS = {
    "host": {"name": "cluster-beijing", "member": "beijing", "region": "cn-beijing-6"},
    "remotes": [
        {"name": "cluster-shanghai", "member": "shanghai", "region": "cn-shanghai-2"},
    ],
}


@pytest.fixture(scope="module")
def guide(isthmus, machine, outside, accepting, tmp_path_factory):
    """The guide's two clusters, built once; skipped where a part of the stack is missing."""
    folder = tmp_path_factory.mktemp("guide")
    file = write(folder / "guide.yaml", name="guide", stack="guide", **CLUSTERS)
    try:
        binaries.accept_checksums(load(file))
        kubernetes_release.check("guide")
        archives.required_archives(load(file), defaults.of("guide").images)
    except Unprepared as error:
        pytest.skip(f"a part of the stack is missing: {error}")
    built = Mesh(isthmus, file)
    built.first = isthmus.document("up", file)
    yield built
    isthmus.run("down", built.name)
    assert not [line for line in machine.left_of(isthmus.home / "environments") if "guide" in line]


@pytest.fixture(scope="module")
def accepting():
    """Checksums that are accepted here are nobody's word afterwards."""
    record = releases.accepted.path()
    before = record.read_text() if record.exists() else None
    yield
    record.unlink(missing_ok=True)
    if before is not None:
        state.write_private(record, before)


def test_every_region_answers_every_other_through_port_443(guide):
    assert guide.first["verdict"] == "pass"
    for client in guide.first["clients"]:
        assert client["failed"] == 0 and all(client["answers"].values())
        observed = client["endpoints"]["observed"]
        assert observed == client["endpoints"]["expected"]
        assert [e.endswith(":443") for e in observed].count(True) == 1
    print(json.dumps(guide.first["clients"]))


def test_the_clusters_are_of_the_guides_versions(guide):
    for cluster in guide.environment.clusters:
        version = json.loads(guide.kubectl(cluster.name, "version", "-ojson"))
        assert version["serverVersion"]["gitVersion"] == "v1.21.14"
        image = guide.kubectl(
            cluster.name, "-n", "istio-system", "get", "deploy", "istiod",
            "-o=jsonpath={.spec.template.spec.containers[0].image}",
        )  # fmt: skip
        assert image.endswith("/pilot:1.7.2")


def test_the_federation_knows_its_members_by_their_own_names(guide):
    found = guide.kubectl(
        "cluster-beijing", "-n", "kube-federation-system", "get", "kubefedclusters", "-o", "name"
    )
    assert {line.rpartition("/")[2] for line in found.split()} == {"beijing", "shanghai"}


def test_every_proxy_of_both_clusters_is_told_by_the_hosts_istiod(guide):
    program = binaries.ensure(guide.environment, "istioctl")
    where = [f"--kubeconfig={guide.folder / 'kubeconfig'}", "--context=cluster-beijing"]
    done = subprocess.run(
        [program, "proxy-status", *where], text=True, capture_output=True, timeout=120, check=True
    )
    rows = done.stdout.splitlines()[1:]
    assert len(rows) == 6, done.stdout
    hosts = guide.kubectl("cluster-beijing", "-n", "istio-system", "get", "pods", "-o", "name")
    assert all(any(f"istiod-{pod}" in hosts for pod in _istiods(row)) for row in rows), done.stdout


def _istiods(row):
    return [word.removeprefix("istiod-") for word in row.split() if word.startswith("istiod-")]


def test_up_once_more_writes_nothing(guide):
    before = {c.name: written(guide, c.name) for c in guide.environment.clusters}
    again = guide.isthmus.document("up", guide.file)
    after = {c.name: written(guide, c.name) for c in guide.environment.clusters}
    assert again["verdict"] == "pass"
    assert {c: after[c][len(before[c]) :] for c in after} == {c: [] for c in after}
