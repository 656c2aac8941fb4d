"""The image of Isthmus, from the lab's recipe and from the Dockerfile: what is in it."""

import importlib.metadata
import importlib.util
import json
import re
import tarfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from isthmus import binaries
from isthmus.errors import Unprepared
from isthmus.providers.lab.images import own, packages, recipes
from isthmus.providers.lab.images.archive import write_layer
from isthmus.providers.lab.toolchain import compiling

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "deployments/kubernetes/Dockerfile").read_text()
STEPS = DOCKERFILE.replace("\\\n", " ")


@pytest.fixture
def toolchain(tmp_path):
    """Programs and chart as the lab's toolchain has them."""
    for name in ("bin/istioctl", "bin/helm", "bin/hyperfed", "share/kubefed-chart/Chart.yaml"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    (tmp_path / "bin/kubefedctl").symlink_to("hyperfed")
    return SimpleNamespace(bin=tmp_path / "bin", share=tmp_path / "share")


@pytest.fixture
def image(folders, toolchain, monkeypatch):
    """The lab's image, with a base of one file; `image.made` counts the layers that were made."""
    made = []

    def debian(path, wanted):
        made.append(path)
        inside = packages.DIST_PACKAGES.replace("local/", "").replace("dist-packages", "os.py")
        with tarfile.open(path, "w") as tar:
            tar.addfile(tarfile.TarInfo(f"./{inside}"))
        return path

    monkeypatch.setattr(recipes, "debian", debian)
    monkeypatch.setattr(own.recipes, "BUSYBOX", Path(__file__))
    monkeypatch.setattr(
        packages, "required_distributions", lambda: [importlib.metadata.distribution("click")]
    )
    work = folders / "work"
    work.mkdir()
    return SimpleNamespace(built=own.build(work, toolchain), made=made, work=work)


def unpacked(built, folder):
    for layer in built.layers:
        with tarfile.open(layer) as tar:
            tar.extractall(folder, filter="tar")
    return folder


def test_a_run_in_it_finds_its_command_lines(image, tmp_path):
    root = unpacked(image.built, tmp_path / "root")
    program, chart = (
        binaries.find_in_folder(root / own.TOOLS, name) for name in ("kubefedctl", binaries.CHART)
    )
    assert program.read_text() == "bin/hyperfed"
    assert (chart / "Chart.yaml").read_text() == "share/kubefed-chart/Chart.yaml"


def test_it_holds_the_project_whole_compiled_and_its_packages(image, tmp_path):
    place = unpacked(image.built, tmp_path / "root") / packages.DIST_PACKAGES
    for name in ("flows/build.py", "templates/sample/deployment.yaml.j2", "click/core.py"):
        assert (place / name).is_file()
    source = place / "isthmus/binaries.py"
    compiled = Path(importlib.util.cache_from_source(str(source)))
    # Python believes a compiled file that bears its source's time and size.
    stamp = int.from_bytes(compiled.read_bytes()[8:12], "little")
    assert stamp == int(source.stat().st_mtime)
    assert list(place.glob("isthmus-*.dist-info/METADATA"))


def test_layers_that_seldom_change_are_made_once_and_old_ones_are_forgotten(
    image, toolchain, folders, monkeypatch
):
    own.build(image.work, toolchain)
    assert len(image.made) == 1
    monkeypatch.setattr(own, "DEBIAN", "another")
    own.build(image.work, toolchain)
    assert len(image.made) == 2
    assert len(list((folders / "cache/layers").glob("debian-*.tar"))) == 1


def test_a_python_that_is_not_debians_is_refused(image, toolchain, monkeypatch):
    monkeypatch.setattr(own.sys, "version_info", (3, 99))
    with pytest.raises(Unprepared, match=r"not python3\.99"):
        own.build(image.work, toolchain)


def test_what_a_pod_needs_is_what_is_locked_for_it_and_no_more():
    lock = (ROOT / "requirements-kubernetes.lock").read_text()
    pins = dict(re.findall(r"^([a-z0-9.-]+)(?:\[.*\])?==([^ ;\\]+)", lock, re.MULTILINE))
    found = {
        packages.canonicalize_name(d.name): d.version for d in packages.required_distributions()
    }
    assert {"prefect", "prefect-kubernetes", "kubernetes", "asyncpg"} <= set(found)
    assert found.items() <= pins.items()
    assert not set(packages.LEFT_OUT) & set(found)


def test_a_worker_that_is_not_installed_is_named(monkeypatch):
    monkeypatch.setattr(packages, "WORKER", "no-such-worker")
    with pytest.raises(Unprepared, match="no-such-worker is not installed"):
        packages.required_distributions()


def test_links_files_and_the_temporary_folder_are_for_whoever_runs_it(tmp_path, monkeypatch):
    monkeypatch.setattr(own.recipes, "BUSYBOX", Path(__file__))
    with tarfile.open(write_layer(tmp_path / "u.tar", own._userland())) as tar:
        assert tar.getmember("tmp").mode == 0o1777
        assert f"isthmus:x:{own.USER}:" in tar.extractfile("etc/passwd").read().decode()


def test_the_dockerfile_makes_the_same():
    assert all(f"{name}={value}" in STEPS for name, value in own.CONTAINER_ENV.items())
    assert f"USER {own.USER}\n" in STEPS and f"/out /{own.TOOLS}\n" in STEPS
    entrypoint = re.search(r"^ENTRYPOINT (.*)$", STEPS, re.MULTILINE)
    assert json.loads(entrypoint[1]) == list(own.ENTRYPOINT)
    assert f'"{compiling.LDFLAGS}"' in STEPS
    left_out = re.search(r"uninstall --yes (.*)$", STEPS, re.MULTILINE)
    assert left_out[1].split() == list(packages.LEFT_OUT)


def test_the_dockerfile_builds_what_is_pinned_and_copies_what_exists():
    modules = [compiling.SOURCES / name / "go.mod" for name in compiling.MODULES]
    pinned = " ".join(path.read_text() for path in modules)
    commands = re.findall(r"[a-z.]+/\S+/cmd/\S+", STEPS)
    assert len(commands) == 3
    assert all(command in pinned for command in commands)
    ignored = (ROOT / "deployments/kubernetes/Dockerfile.dockerignore").read_text().split()
    for source in re.findall(r"^COPY (?!--from)(\S+)", STEPS, re.MULTILINE):
        assert (ROOT / source).exists() and f"!{source.split('/')[0]}" in ignored
