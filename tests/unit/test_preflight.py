"""What this machine lacks is told at once, all of it, with what to do; and nothing else is."""

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from isthmus import events
from isthmus.environment import Environment
from isthmus.errors import Unprepared
from isthmus.events import Event
from isthmus.providers.lab import host_requirements, inotify, preflight, tools
from isthmus.providers.lab.host_requirements import GB, MissingRequirement

WATCHING = inotify.count_instances
ROOT = Path(__file__).parents[2]
ENVIRONMENT = Environment.model_validate(
    {
        "name": "two",
        "host": {"name": "beijing", "region": "cn-1", "network": "network1"},
        "remotes": [{"name": "shanghai", "region": "cn-2", "network": "network2"}],
    }
)


@pytest.fixture(autouse=True)
def good_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that lacks nothing and has a toolchain, whatever the real one is."""
    monkeypatch.setenv("ISTHMUS_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("ISTHMUS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(host_requirements, "missing_privileges", list)
    monkeypatch.setattr(host_requirements, "missing_kernel_features", lambda home: [])
    monkeypatch.setattr(host_requirements, "_is_installed", lambda name: True)
    monkeypatch.setattr(host_requirements, "free_disk", lambda path: 100 * GB)
    monkeypatch.setattr(host_requirements, "available_memory", lambda: 100 * GB)
    monkeypatch.setattr(inotify, "count_instances", dict)
    monkeypatch.setattr(tools, "find_toolchain", lambda: object())
    monkeypatch.setattr(tools, "is_build_started", lambda: False)


def lacking() -> str:
    with pytest.raises(Unprepared) as caught:
        preflight.check_machine(ENVIRONMENT)
    return str(caught.value)


def test_a_machine_that_has_everything_is_let_through_and_left_alone(tmp_path: Path) -> None:
    preflight.check_machine(ENVIRONMENT)
    assert list(tmp_path.iterdir()) == []


def test_everything_that_is_missing_is_told_in_one_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        host_requirements, "missing_privileges", lambda: [MissingRequirement("not root", "sudo")]
    )
    monkeypatch.setattr(
        host_requirements, "_is_installed", lambda name: name not in ("runc", "iptables")
    )
    monkeypatch.setattr(host_requirements, "free_disk", lambda path: GB)
    monkeypatch.setattr(host_requirements, "available_memory", lambda: 2 * GB)
    text = lacking()
    assert "nothing was changed" in text
    assert "- not root\n    sudo" in text
    assert "not installed: runc, iptables" in text
    assert "apt-get update && apt-get install -y iptables runc" in text
    assert f"disk: 1.0 GB free at {tmp_path}/home, 4.0 GB needed" in text
    assert "memory: 2.0 GB available, 3.4 GB needed for 2 regions" in text
    assert "isthmus up two" in text
    assert list(tmp_path.iterdir()) == []


def test_a_toolchain_that_is_still_to_be_compiled_needs_more_disk(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tools, "find_toolchain", lambda: None)
    monkeypatch.setattr(host_requirements, "free_disk", lambda path: 13 * GB)
    assert "13.0 GB free" in lacking()
    assert "14.0 GB needed" in lacking()


def test_a_build_that_was_interrupted_is_not_asked_for_its_room_twice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tools, "find_toolchain", lambda: None)
    monkeypatch.setattr(tools, "is_build_started", lambda: True)
    monkeypatch.setattr(host_requirements, "free_disk", lambda path: 5 * GB)
    preflight.check_machine(ENVIRONMENT)


def test_regions_that_exist_already_need_no_more_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host_requirements, "free_disk", lambda path: 0)
    monkeypatch.setattr(host_requirements, "available_memory", lambda: 0)
    for name in ("beijing", "shanghai"):
        (tmp_path / "home/environments/two/regions" / name).mkdir(parents=True)
    preflight.check_machine(ENVIRONMENT)


@pytest.mark.parametrize(
    ("used", "short"), [({0: 96}, False), ({0: 97}, True), ({0: 0, 1337: 101}, True)]
)
def test_inotify_instances_are_counted_before_a_region_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, used: dict[int, int], short: bool
) -> None:
    monkeypatch.setattr(inotify, "count_instances", lambda: used)
    (tmp_path / "limit").write_text("128\n")
    found = inotify.inotify_shortage(2, tmp_path / "limit")
    assert bool(found) is short
    if short:
        assert "inotify instances: 128 a user, 129 needed with 2 more regions" in str(found[0])
        assert "sysctl -w fs.inotify.max_user_instances=1024" in str(found[0])
    assert inotify.inotify_shortage(0, tmp_path / "limit") == []


def test_a_process_that_watches_is_counted_for_its_user(tmp_path: Path) -> None:
    fd = tmp_path / "77/fd"
    fd.mkdir(parents=True)
    for number, target in enumerate(["anon_inode:inotify", "/dev/null", "anon_inode:inotify"]):
        (fd / str(number)).symlink_to(target)
    assert WATCHING(tmp_path) == {fd.stat().st_uid: 2}


def test_no_go_and_no_way_to_get_one_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tools, "find_toolchain", lambda: None)
    monkeypatch.setattr(preflight.golang, "find", lambda installed: None)
    preflight.check_machine(ENVIRONMENT)  # pip would get one
    monkeypatch.setattr(preflight.importlib.util, "find_spec", lambda name: None)
    assert "no Go 1.26" in lacking()
    assert "GO=/path/to/go" in lacking()


def test_with_a_toolchain_no_go_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight.golang, "find", lambda installed: None)
    monkeypatch.setattr(preflight.importlib.util, "find_spec", lambda name: None)
    preflight.check_machine(ENVIRONMENT)


def two_disks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host_requirements, "device", lambda path: 1 if path.name == "home" else 2)


def test_two_disks_are_allowed_and_it_is_said_what_that_costs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    two_disks(monkeypatch)
    told: list[Event] = []
    step = Event("started", "check", "check")
    with events.subscribe(told.append), events.in_step(step):
        preflight.check_machine(ENVIRONMENT)
    assert "every region gets copies of the images" in told[0].text


def test_of_two_disks_each_is_asked_for_its_own_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    two_disks(monkeypatch)
    monkeypatch.setattr(tools, "find_toolchain", lambda: None)
    monkeypatch.setattr(host_requirements, "free_disk", lambda path: GB)
    text = lacking()
    assert f"at {tmp_path}/home, 4.0 GB needed" in text
    assert f"at {tmp_path}/cache, 12.0 GB needed" in text


def test_lacking_is_told_of_other_systems(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    monkeypatch.setattr(host_requirements.sys, "platform", "darwin")
    assert [lack.problem for lack in host_requirements.missing_privileges()] == [
        "not Linux: the lab is made of Linux namespaces"
    ]


class TestProbes:
    """Each look at the machine, on a made-up one."""

    @pytest.fixture(autouse=True)
    def real_probes(self, good_machine: None, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.undo()

    def test_who_is_not_root_is_told_so_and_no_more(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(host_requirements.os, "geteuid", lambda: 1000)
        assert [lack.remedy for lack in host_requirements.missing_privileges()] == [
            "run it again with sudo"
        ]

    def test_root_without_rights_is_told_what_the_kernel_said(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        refused = subprocess.CompletedProcess([], 1, "", "unshare: Operation not permitted\n")
        monkeypatch.setattr(host_requirements.os, "geteuid", lambda: 0)
        monkeypatch.setattr(
            host_requirements.shutil, "which", lambda name, path: f"/usr/bin/{name}"
        )
        monkeypatch.setattr(host_requirements.subprocess, "run", lambda *args, **kwargs: refused)
        [lack] = host_requirements.missing_privileges()
        assert "unshare: Operation not permitted" in lack.problem
        assert "CAP_SYS_ADMIN" in lack.remedy

    def test_no_control_groups_and_a_disk_that_takes_no_overlay_are_told(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(host_requirements, "_has_overlay", lambda: False)
        monkeypatch.setattr(host_requirements, "filesystem", lambda path: "overlay")
        told = [
            lack.problem
            for lack in host_requirements.missing_kernel_features(tmp_path, cgroups=tmp_path)
        ]
        assert told == [
            f"no writable cgroups below {tmp_path}",
            "the kernel has no overlayfs",
            f"{tmp_path} is on overlayfs, which is not supported as upperdir",
        ]

    @pytest.mark.parametrize("names", [["cgroup.controllers"], ["cpu", "memory", "pids"]])
    def test_control_groups_of_both_versions_will_do(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, names: list[str]
    ) -> None:
        monkeypatch.setattr(host_requirements, "_has_overlay", lambda: True)
        monkeypatch.setattr(host_requirements, "filesystem", lambda path: "ext4")
        for name in names:
            (tmp_path / name).mkdir()
        assert host_requirements.missing_kernel_features(tmp_path, cgroups=tmp_path) == []

    def test_memory_is_what_the_kernel_says_is_available(self, tmp_path: Path) -> None:
        meminfo = tmp_path / "meminfo"
        meminfo.write_text("MemTotal: 9000 kB\nMemFree: 100 kB\nMemAvailable: 2000 kB\n")
        assert host_requirements.available_memory(meminfo) == 2000 * 1024

    def test_the_file_system_of_a_folder_yet_to_be_is_that_of_the_one_above(
        self, tmp_path: Path
    ) -> None:
        mounts = tmp_path / "mounts"
        mounts.write_text(f"a / ext4 rw 0 0\nb {tmp_path} overlay rw 0 0\nc /proc proc rw 0 0\n")
        assert host_requirements.filesystem(tmp_path / "x/y", mounts) == "overlay"
        assert host_requirements.filesystem(Path("/nowhere"), mounts) == "ext4"

    def test_a_busybox_that_needs_libraries_does_not_count(self, tmp_path: Path) -> None:
        (tmp_path / "static").write_bytes(b"\x7fELF")
        (tmp_path / "dynamic").write_bytes(b"\x7fELF.../lib64/ld-linux-x86-64.so.2")
        assert host_requirements._is_static(tmp_path / "static")
        assert not host_requirements._is_static(tmp_path / "dynamic")
        assert not host_requirements._is_static(tmp_path / "gone")

    def test_a_cache_where_no_program_may_run_is_told_with_its_variable(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert host_requirements.noexec("ISTHMUS_CACHE", tmp_path / "yet/to/be") == []
        mounted = SimpleNamespace(f_flag=os.ST_NOEXEC | os.ST_NOSUID)
        monkeypatch.setattr(host_requirements.os, "statvfs", lambda path: mounted)
        [lack] = host_requirements.noexec("ISTHMUS_CACHE", tmp_path / "yet/to/be")
        assert "noexec" in lack.problem and "ISTHMUS_CACHE=" in lack.remedy

    def test_a_program_outside_path_is_not_called_missing(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(host_requirements, "FOLDERS", (str(tmp_path / "sbin"),))
        monkeypatch.setattr(
            host_requirements, "PACKAGES", {"conntrack": "conntrack", "no-such-program": "nothing"}
        )
        program = tmp_path / "sbin/conntrack"
        program.parent.mkdir()
        program.touch(mode=0o755)
        monkeypatch.setenv("PATH", str(tmp_path))
        [missing] = host_requirements.missing_programs()
        assert missing.problem == "not installed: no-such-program"

    def test_make_can_ask_before_anything_is_installed(self, tmp_path: Path) -> None:
        """No site packages, no PYTHONPATH: what a fresh machine's Python has."""
        script = ROOT / "scripts/lacking.py"
        env = {"PATH": str(tmp_path), "HOME": str(tmp_path)}
        asked = [sys.executable, "-I", "-S", script, "packages"]
        done = subprocess.run(asked, env=env, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert set(done.stdout.split()) == set(host_requirements.missing_packages())
