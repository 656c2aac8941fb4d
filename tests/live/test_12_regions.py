"""A region leaves a mesh that runs and joins it again; the others never miss an answer."""

import json
import signal
from pathlib import Path

import pytest
import yaml
from live.bare import environment_of, everything, regions
from live.clients import asking
from live.files import write
from live.machine import Machine
from live.runs import end_region, until_done

from isthmus.providers.lab.network import NETNS, find_network

STAY = ["lisbon", "nairobi"]
PODS = ("get", "pods", "-A", "-l", "security.istio.io/tlsMode=istio", "-ojson")
ENOUGH = 50
"""Requests of each client; a run takes half a minute, and they ask several times a second."""


@pytest.fixture
def changing(mesh):
    """The shared mesh, whose file is changed here; afterwards it is as it was."""
    text = mesh.file.read_text()
    yield mesh
    mesh.file.write_text(text)
    mesh.isthmus.document("up", mesh.file)


def without_osaka(mesh):
    content = yaml.safe_load(mesh.file.read_text())
    content["remotes"] = [c for c in content["remotes"] if c["name"] != "osaka"]
    return write(mesh.file, **content)


def pods(mesh) -> dict[str, set[str]]:
    """Name every pod of the mesh in the regions that stay, with its restarts."""
    found = {cluster: json.loads(mesh.kubectl(cluster, *PODS))["items"] for cluster in STAY}
    return {
        cluster: {
            f"{p['metadata']['name']} {c['restartCount']}"
            for p in items
            for c in p["status"]["containerStatuses"]
        }
        for cluster, items in found.items()
    }


def test_a_region_leaves_and_joins_and_no_request_fails_meanwhile(changing, machine):
    mesh, before, text = changing, pods(changing), changing.file.read_text()
    with asking(mesh.kubectl_command, STAY) as clients:
        document = mesh.isthmus.document("up", without_osaka(mesh))
    assert document["verdict"] == "pass"
    assert [c["cluster"] for c in document["clients"]] == STAY
    assert_answered(clients)
    assert pods(mesh) == before, "no pod of those that stay was made anew"
    assert_gone(mesh)

    mesh.file.write_text(text)
    with asking(mesh.kubectl_command, STAY) as clients:
        document = mesh.isthmus.document("up", mesh.file)
    assert document["verdict"] == "pass"
    assert all(all(c["answers"].values()) for c in document["clients"])
    assert len(document["clients"]) == 3
    assert_answered(clients)
    assert pods(mesh) == before


def assert_answered(clients) -> None:
    print({c.cluster: (len(c.requests), dict(c.instances)) for c in clients})
    assert [line for client in clients for line in client.failed] == []
    assert all(len(client.requests) > ENOUGH for client in clients)
    assert all(len(client.instances) == 3 for client in clients), "all three were asked meanwhile"


def assert_gone(mesh) -> None:
    """Nothing of osaka is on the machine, in the state folder or in the host."""
    assert not (mesh.folder / "regions" / "osaka").exists()
    assert "osaka" not in json.loads((mesh.folder / "regions.json").read_text())
    assert Machine().left_of(mesh.folder / "regions" / "osaka") == []
    namespace = find_network(mesh.folder).namespace("osaka")
    assert not (NETNS / namespace).exists()
    assert list(Path("/sys/fs/cgroup").glob(f"**/{namespace}")) == []
    for kind in ("secrets", "kubefedclusters", "federatednamespaces", "federateddeployments"):
        assert "osaka" not in mesh.kubectl("lisbon", "get", kind, "-A", "-ojson"), kind
    assert "osaka" not in mesh.isthmus.run("status", mesh.name)[0]


@pytest.mark.long
@pytest.mark.parametrize("step", ["delete remote secret", "leave federation"])
def test_a_removal_that_was_killed_is_ended_by_the_next_up(changing, step):
    process = changing.isthmus.start("up", without_osaka(changing))
    until_done(process, step, "osaka")
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert changing.isthmus.document("up", changing.name)["verdict"] == "pass"
    assert_gone(changing)


@pytest.mark.long
def test_a_region_that_is_dead_already_is_removed(changing):
    end_region(changing.folder / "regions" / "osaka")
    assert changing.isthmus.document("up", without_osaka(changing))["verdict"] == "pass"
    assert_gone(changing)


@pytest.fixture(scope="module")
def handed_over(isthmus, tmp_path_factory):
    """Three bare regions, known by kubeconfig alone."""
    folder = tmp_path_factory.mktemp("delta")
    with regions(isthmus, folder, "delta", ["east", "west", "south"]) as clusters:
        yield clusters


@pytest.mark.long
def test_a_cluster_that_stays_is_given_back_as_it_was(isthmus, handed_over, tmp_path):
    before = everything(handed_over)
    file = environment_of(tmp_path / "theirs.yaml", "coast", handed_over, "kubefed")
    assert isthmus.document("up", file)["verdict"] == "pass"
    two = {name: path for name, path in handed_over.items() if name != "south"}
    environment_of(file, "coast", two, "kubefed")
    process = isthmus.start("up", file)
    until_done(process, "delete remote secret", "south")
    process.send_signal(signal.SIGKILL)
    process.communicate()
    isthmus.run("down", "coast")
    after = everything(handed_over)
    assert {c: sorted(after[c] ^ before[c]) for c in before} == {c: [] for c in before}
