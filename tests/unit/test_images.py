"""Images: their names, what a registry of one's own makes of them, and the list of all."""

import json
from pathlib import Path

import pytest
from archives import in_plan
from click.testing import CliRunner
from world import istio

from isthmus import binaries, images, plan, providers, stacks
from isthmus.adapters import istioctl
from isthmus.cli.main import isthmus
from isthmus.environment import Environment, Images, load
from isthmus.images.names import HUB
from isthmus.providers.base import ProviderDefaults

MIRROR = "harbor.example/mirror"
STACKS = stacks.names()


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("busybox", f"{HUB}/library/busybox:latest"),
        ("busybox:1.36", f"{HUB}/library/busybox:1.36"),
        ("istio/pilot:1.7.2", f"{HUB}/istio/pilot:1.7.2"),
        (f"{HUB}/istio/pilot:1.7.2", f"{HUB}/istio/pilot:1.7.2"),
        (f"{HUB}/busybox", f"{HUB}/library/busybox:latest"),
        ("example.com/a/b", "example.com/a/b:latest"),
        ("example.com:5000/b:1", "example.com:5000/b:1"),
        ("localhost/b:1", "localhost/b:1"),
        ("localhost:5000/a/b:1", "localhost:5000/a/b:1"),
        (f"a/b@sha256:{'0' * 64}", f"{HUB}/a/b@sha256:{'0' * 64}"),
    ],
)
def test_a_short_name_is_made_whole_as_docker_reads_it(written, name):
    assert images.normalize_name(written) == name


@pytest.mark.parametrize("written", ["", "A/b", "a b", "a/b:", "a//b", "-a/b:1", "a/b:\n1", "../a"])
def test_what_is_no_name_of_an_image_is_refused(written):
    with pytest.raises(ValueError, match="invalid image name"):
        images.normalize_name(written)


@pytest.mark.parametrize(
    ("registry", "name", "moved"),
    [
        (MIRROR, f"{HUB}/istio/pilot:1.7.2", f"{MIRROR}/istio/pilot:1.7.2"),
        (MIRROR, "example.com:5000/a/b/c:1", f"{MIRROR}/a/b/c:1"),
        ("10.0.0.1:5000", f"{HUB}/istio/pilot:1.7.2", "10.0.0.1:5000/istio/pilot:1.7.2"),
        (MIRROR, f"{HUB}/istio", f"{MIRROR}/istio"),
        (MIRROR, "istio", f"{MIRROR}/istio"),
        (MIRROR, "istio/pilot:1.7.2", f"{MIRROR}/istio/pilot:1.7.2"),
    ],
)
def test_a_registry_of_ones_own_replaces_the_host_and_keeps_the_path(registry, name, moved):
    assert images.with_registry(registry, name) == moved


def test_every_image_of_a_stack_is_taken_from_the_registry_and_none_twice():
    for stack in STACKS:
        plain = images.required_images(of(stack), Images())
        moved = images.required_images(of(stack, registry=MIRROR), Images())
        assert all(name.startswith(f"{MIRROR}/") for name in moved)
        assert len(moved) == len(plain) >= 6, f"{stack}: two images have one name below a registry"


def test_what_the_file_names_itself_is_left_as_it_is_written():
    own = {"caller": "example.com/curl:8", "hub": "example.com/istio", "tag": "9"}
    found = images.required_images(of(STACKS[0], registry=MIRROR, **own), Images())
    assert {"example.com/curl:8", "example.com/istio/pilot:9"} <= set(found)
    assert {n.split("/")[0] for n in found} == {"example.com", "harbor.example"}


def test_a_providers_image_is_taken_before_the_stacks_and_from_the_registry_too():
    defaults = Images(caller="cloud.example/tools/curl:1")
    assert "cloud.example/tools/curl:1" in images.required_images(of(STACKS[0]), defaults)
    assert f"{MIRROR}/tools/curl:1" in images.required_images(
        of(STACKS[0], registry=MIRROR), defaults
    )


def test_kubefed_is_listed_only_where_it_runs():
    kubefed = stacks.load(STACKS[0]).images.kubefed
    assert kubefed in images.required_images(of(STACKS[0], "kubefed"), Images())
    assert kubefed not in images.required_images(of(STACKS[0], "direct"), Images())


class Everywhere:
    """A provider of clusters that need nothing special."""

    defaults = ProviderDefaults()


def of(stack, federation="kubefed", **given):
    """Return an environment of clusters that somebody has, with these keys of `images`."""
    clusters = {"kubeconfig": "/k", "context": "a"}, {"kubeconfig": "/k", "context": "b"}
    return Environment(
        name="pair",
        provider="kubeconfig",
        stack=stack,
        federation=federation,
        host={"name": "a", **clusters[0]},
        remotes=[{"name": "b", **clusters[1]}],
        images=Images(**given),
    )


@pytest.mark.parametrize("federation", ["kubefed", "direct"])
@pytest.mark.parametrize("registry", [None, MIRROR])
@pytest.mark.parametrize("stack", STACKS)
def test_the_list_is_every_image_of_the_plan_and_no_other(monkeypatch, federation, registry, stack):
    """Istio's objects are stand-ins here, with hub and tag as it is given them; a live test has
    the real ones (tests/live/test_14_images.py)."""
    monkeypatch.setattr(providers, "get_provider", lambda environment: Everywhere())
    monkeypatch.setattr(binaries, "ensure", lambda environment, name: Path("/", name))
    monkeypatch.setattr(istioctl, "manifests", lambda program, operator: [*istio(), *ran(operator)])
    asked = of(stack, federation, registry=registry)
    assert set(plan.image_names(asked)) == set(in_plan(plan.entries(asked, Path("istioctl"))))


def ran(operator):
    spec = operator["spec"]
    return [
        {
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name},
            "spec": {"containers": [{"image": f"{spec['hub']}/{name}:{spec['tag']}"}]},
        }
        for name in ("pilot", "proxyv2")
    ]  # fmt: skip


FILE = """\
name: pair
provider: kubeconfig
host: {name: a, kubeconfig: k, context: a}
remotes: [{name: b, kubeconfig: k, context: b}]
images: {registry: harbor.example/mirror}
"""


@pytest.fixture
def file(folders, tmp_path):
    path = tmp_path / "pair.yaml"
    path.write_text(FILE)
    return path


def test_render_prints_the_images_sorted_one_a_line_and_writes_nothing(file):
    done = CliRunner().invoke(isthmus, ["render", str(file), "--images"], catch_exceptions=False)
    assert done.stdout.splitlines() == plan.image_names(load(file))
    assert done.stdout.splitlines() == sorted(set(done.stdout.splitlines()))
    assert [p.name for p in file.parent.glob("*.yaml")] == ["pair.yaml"]


def test_render_prints_the_images_as_a_document(file):
    done = CliRunner().invoke(isthmus, ["render", str(file), "--images", "-o", "json"])
    assert json.loads(done.stdout) == {
        "apiVersion": "isthmus/v1",
        "kind": "Images",
        "environment": "pair",
        "images": plan.image_names(load(file)),
    }


@pytest.mark.parametrize("flags", [[], ["--images", "--to", "somewhere"]])
def test_render_must_be_told_one_thing_to_do(file, flags):
    done = CliRunner().invoke(isthmus, ["render", str(file), *flags])
    assert done.exception.exit_code == 64
    assert "--to DIR" in done.exception.hint and "--images" in done.exception.hint


def test_archives_are_paths_from_the_file_s_folder_one_or_several(file):
    lab = FILE.replace("kubeconfig", "lab", 1).replace(", kubeconfig: k, context: a", "")
    lab = lab.replace(", kubeconfig: k, context: b", "")
    for written, expected in (("a.tar", ["a.tar"]), ("[a.tar, b]", ["a.tar", "b"])):
        file.write_text(lab.replace("registry: harbor.example/mirror", f"archives: {written}"))
        assert load(file).images.archives == [file.parent / name for name in expected]
