"""A region is found by what its first process sees, and by nothing that could be left over."""

import ipaddress
import os
import subprocess

import pytest

from isthmus import polling
from isthmus.providers.lab import cgroups, components, region
from isthmus.providers.lab.network import LabNetwork

NET = LabNetwork(id="abc123", subnet=ipaddress.IPv4Network("198.18.7.0/24"))


@pytest.fixture
def place(tmp_path):
    return region.Region("beijing", "cn-beijing-6", 1, tmp_path / "beijing", NET)


def test_its_server_is_at_its_nodes_address(place):
    assert place.server == f"https://{NET.node(1)}:6443"
    assert place.kubeconfig == place.folder / "kubeconfig"
    assert place.cgroup == "/isthmus-abc123-beijing"


def test_a_region_that_was_never_made_does_not_run(place):
    assert region.find_supervisor(place) is None


def test_what_files_say_of_a_process_is_not_believed(place):
    place.folder.mkdir()
    (place.folder / "supervisor.pid").write_text(str(os.getpid()))
    assert region.find_supervisor(place) is None


def test_stopping_what_does_not_run_ends_nothing(place, monkeypatch):
    monkeypatch.setattr(region.os, "kill", lambda *_: pytest.fail("ended a process"))
    region.stop(place)


@pytest.mark.parametrize(
    ("spaces", "found"),
    [("NSpid:\t77\t1", True), ("NSpid:\t77\t2", False), ("NSpid:\t77", False), ("", False)],
)
def test_its_first_process_is_the_one_that_has_its_folder(tmp_path, spaces, found):
    process = tmp_path / "77"
    (process / "root/run/region").mkdir(parents=True)
    (process / "status").write_text(f"Name:\tsupervisord\n{spaces}\n")
    home = (process / "root/run/region").stat()
    assert region._is_init_of(process, home) is found
    assert region._is_init_of(process, tmp_path.stat()) is False
    assert region._is_init_of(tmp_path / "gone", home) is False


def test_no_control_group_is_left_of_a_region_that_was_killed(place, tmp_path, monkeypatch):
    root = tmp_path / "cgroup"
    monkeypatch.setattr(cgroups, "ROOT", root)
    for kind, name in {"sandboxes": "a1", "containers": "b2"}.items():
        (place.folder / f"containerd/io.containerd.grpc.v1.cri/{kind}/{name}").mkdir(parents=True)
        for hierarchy in ("memory", "pids"):
            (root / hierarchy / "k8s.io" / name).mkdir(parents=True)
    (root / "memory/isthmus-abc123-beijing/pod1").mkdir(parents=True)
    (root / "pids/k8s.io/anothers").mkdir()
    cgroups.remove("isthmus-abc123-beijing", place.folder)
    left = {str(p.relative_to(root)) for p in root.rglob("*")}
    assert left == {"memory", "pids", "pids/k8s.io", "pids/k8s.io/anothers"}


def test_a_control_group_with_a_process_that_is_about_to_end_is_tried_again(
    place, tmp_path, monkeypatch
):
    monkeypatch.setattr(cgroups, "ROOT", tmp_path / "cgroup")
    (place.folder / "containerd/io.containerd.grpc.v1.cri/sandboxes/a1").mkdir(parents=True)
    group = tmp_path / "cgroup/pids/k8s.io/a1"
    group.mkdir(parents=True)
    busy, rmdir = [OSError(16, "Device or resource busy")] * 3, os.rmdir

    def remove(path):
        if str(path).endswith("a1") and busy:
            raise busy.pop()
        rmdir(path)

    monkeypatch.setattr(cgroups.os, "rmdir", remove)
    cgroups.remove("isthmus-abc123-beijing", place.folder)
    assert not group.exists()


def test_a_region_has_ended_only_when_its_first_process_has():
    child = subprocess.Popen(["sleep", "60"])
    assert not region.has_ended(child.pid)
    child.kill()
    polling.until(lambda: region.has_ended(child.pid) or None, "its end", timeout=10)
    child.wait()
    assert region.has_ended(child.pid)


def test_no_file_says_that_the_machines_process_1_is_a_regions(place):
    text = components.supervisor_config({"etcd": ["etcd"]})
    assert "pidfile = /run/supervisor.pid" in text and str(components.HOME) != "/run"
