"""Where istioctl, helm and kubefedctl come from: a folder named, cache, toolchain, release file."""

import os
import re
from types import SimpleNamespace

import pytest
from world import environment

from isthmus import binaries, releases, stacks
from isthmus.errors import Unprepared
from isthmus.providers.lab import tools as lab
from isthmus.providers.lab.toolchain import compiling

ALL = ("istioctl", "helm", "kubefedctl", "kubefed-chart")
LAB = environment(provider="lab")
THEIRS = LAB.model_copy(update={"provider": "kubeconfig"})
GUIDE = THEIRS.model_copy(update={"stack": "guide"})


@pytest.fixture(autouse=True)
def nothing_is_here(tmp_path, monkeypatch):
    monkeypatch.delenv("ISTHMUS_TOOLS", raising=False)
    monkeypatch.setenv("ISTHMUS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(lab, "ensure_toolchain", lambda: pytest.fail("compiles"))
    monkeypatch.setattr(releases.fetching, "fetch_release", lambda *what: pytest.fail("fetches"))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "kubefed-chart").mkdir()
    (tmp_path / "kubefed-chart/Chart.yaml").touch()
    for name in ("istioctl", "helm", "kubefedctl"):
        (tmp_path / name).touch(mode=0o755)
    monkeypatch.setenv("ISTHMUS_TOOLS", str(tmp_path))
    return tmp_path


@pytest.fixture
def toolchain(tmp_path):
    return SimpleNamespace(bin=tmp_path / "bin", share=tmp_path / "share")


@pytest.fixture
def compiled(toolchain, monkeypatch):
    monkeypatch.setattr(lab, "find_toolchain", lambda: toolchain)
    return toolchain


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("asked", [LAB, THEIRS, GUIDE], ids=["lab", "theirs", "guide"])
def test_a_folder_that_is_named_comes_first(folder, compiled, asked, name):
    binaries.check(asked)
    assert binaries.ensure(asked, name) == folder / name


def test_all_that_such_a_folder_lacks_is_said_at_once(folder):
    (folder / "helm").chmod(0o644)
    (folder / "kubefedctl").unlink()
    (folder / "kubefed-chart/Chart.yaml").unlink()
    for ask in (lambda: binaries.ensure(THEIRS, "istioctl"), lambda: binaries.check(THEIRS)):
        with pytest.raises(Unprepared, match=r"lacks helm, kubefedctl, kubefed-chart/Chart\.yaml"):
            ask()


def test_what_such_a_folder_lacks_a_lab_takes_from_its_toolchain(folder, toolchain, monkeypatch):
    monkeypatch.setattr(lab, "ensure_toolchain", lambda: toolchain)
    (folder / "helm").unlink()
    (folder / "kubefed-chart/Chart.yaml").unlink()
    (folder / "kubefed-chart").rmdir()
    assert binaries.ensure(LAB, "istioctl") == folder / "istioctl"
    assert binaries.ensure(LAB, "helm") == toolchain.bin / "helm"
    assert binaries.ensure(LAB, "kubefed-chart") == toolchain.share / "kubefed-chart"
    (folder / "istioctl").unlink()
    with pytest.raises(Unprepared, match="lacks istioctl"):
        binaries.ensure(LAB, "istioctl")


@pytest.mark.parametrize("value", [None, ""])
def test_a_lab_compiles_what_its_toolchain_is_made_for(toolchain, monkeypatch, value):
    monkeypatch.setattr(lab, "ensure_toolchain", lambda: toolchain)
    if value is not None:
        monkeypatch.setenv("ISTHMUS_TOOLS", value)
    binaries.check(LAB)
    assert binaries.ensure(LAB, "helm") == toolchain.bin / "helm"
    assert binaries.ensure(LAB, "kubefed-chart") == toolchain.share / "kubefed-chart"


def test_a_lab_of_another_stack_takes_all_but_istioctl_from_its_toolchain(toolchain, monkeypatch):
    monkeypatch.setattr(lab, "ensure_toolchain", lambda: toolchain)
    monkeypatch.setattr(lab, "find_toolchain", lambda: toolchain)
    asked = LAB.model_copy(update={"stack": "guide"})
    assert binaries.ensure(asked, "kubefedctl") == toolchain.bin / "kubefedctl"
    assert binaries.ensure(asked, "kubefed-chart") == toolchain.share / "kubefed-chart"
    with pytest.raises(Unprepared, match=r"istio-1\.7\.2.*: no checksum is known"):
        binaries.check(asked)


def test_clusters_of_ones_own_use_a_toolchain_that_is_there(compiled):
    assert binaries.ensure(THEIRS, "istioctl") == compiled.bin / "istioctl"
    binaries.check(THEIRS)


def test_of_a_toolchain_only_what_is_of_the_stacks_version_is_used(compiled, monkeypatch):
    fetched = []
    monkeypatch.setattr(
        releases, "ensure", lambda stack, name, accept: fetched.append(name) or compiled.share
    )
    assert binaries.ensure(GUIDE, "helm") == compiled.bin / "helm"
    assert binaries.ensure(GUIDE, "istioctl") == compiled.share / "istioctl"
    assert binaries.ensure(GUIDE, "kubefed-chart") == compiled.share
    assert fetched == ["istioctl", "kubefed-chart"]


@pytest.mark.parametrize("asked", [THEIRS, GUIDE], ids=["theirs", "guide"])
def test_without_a_toolchain_nothing_is_compiled_for_clusters_of_ones_own(asked, monkeypatch):
    monkeypatch.setattr(lab, "find_toolchain", lambda: None)
    with pytest.raises(Unprepared, match=r"istio-.*: no checksum is known") as caught:
        binaries.check(asked)
    assert "--accept-checksum" in str(caught.value)


def test_a_mesh_without_kubefed_needs_istioctl_alone(monkeypatch):
    asked = []
    monkeypatch.setattr(binaries, "ensure", lambda environment, name, accept: asked.append(name))
    binaries.accept_checksums(THEIRS.model_copy(update={"federation": "direct"}))
    assert asked == ["istioctl"]


def test_the_toolchain_is_made_from_the_versions_of_its_stack():
    versions = stacks.load(compiling.STACK).versions
    sources = "".join(
        (compiling.SOURCES / name / "go.mod").read_text() for name in compiling.MODULES
    )
    assert f"helm.sh/helm/v3 v{versions.helm} " in sources
    assert f"sigs.k8s.io/kubefed v{versions.kubefed} " in sources
    assert f"k8s.io/kubernetes v{versions.kubernetes} " in sources
    assert versions.kubernetes == compiling.KUBERNETES


@pytest.mark.parametrize("name", stacks.names())
def test_every_stack_names_the_official_files_of_what_steps_run(name):
    stack = stacks.load(name)
    assert set(ALL) <= set(stack.releases)
    for release in stack.releases.values():
        assert re.match(r"https://[a-z.0-9]+/[^ ]+\.(tar\.gz|tgz)$", release.url)
        assert set(release.members) >= {os.path.basename(w) for w in release.check.split()[:1]}
