"""Images: from archives into regions, and no image runs that the list lacks."""

import json

import pytest
import yaml
from archives import in_plan
from live.files import write
from live.images import LATER, TINY, later

from isthmus import binaries, images, plan
from isthmus.environment import load
from isthmus.providers.lab.tools import ensure_toolchain

SPACES = ("istio-system", "kube-federation-system", "sample")


def test_a_pod_runs_from_an_image_that_only_an_archive_has(mesh):
    for cluster in mesh.environment.clusters:
        assert said_by(mesh, cluster.name, TINY) == "hello"


def test_a_region_that_runs_already_gets_a_new_archive_by_up(mesh):
    content = yaml.safe_load(mesh.file.read_text())
    given = content["images"]["archives"]
    content["images"]["archives"] = [given, str(later(mesh.file.parent / "later"))]
    write(mesh.file, **content)
    mesh.isthmus.document("up", mesh.file)
    assert said_by(mesh, "osaka", images.normalize_name(LATER)) == "hello"


def test_an_image_that_is_nowhere_is_told_before_anything_is_made(isthmus, mesh, tmp_path):
    content = {**yaml.safe_load(mesh.file.read_text()), "name": "no-caller"}
    content["images"] = {"caller": "example.com/nobody/has-it:1"}
    _, err = isthmus.run("up", write(tmp_path / "no.yaml", **content), code=69)
    assert "- example.com/nobody/has-it:1" in err
    assert not list(isthmus.home.glob("environments/no-caller/regions*"))


def test_every_image_that_runs_is_in_the_list_and_every_listed_one_runs(mesh):
    listed = mesh.isthmus.document("render", mesh.file, "--images")["images"]
    running = set()
    for cluster in mesh.environment.clusters:
        for space in SPACES:
            pods = json.loads(mesh.kubectl(cluster.name, "-n", space, "get", "pods", "-ojson"))
            running |= {c["image"] for pod in pods["items"] for c in containers(pod["spec"])}
    assert running == set(listed)


@pytest.mark.parametrize("federation", ["kubefed", "direct"])
@pytest.mark.parametrize("registry", [{}, {"registry": "registry.example/mirror"}])
def test_what_istioctl_prints_names_no_image_that_the_list_lacks(
    lab_possible, tmp_path, federation, registry
):
    """The proxy's image is no object's: the injector puts it where `auto` stands."""
    ensure_toolchain()
    kept = {"kubeconfig": "/kept", "context": "kept"}
    file = write(
        tmp_path / "kept.yaml", name="kept", provider="kubeconfig", federation=federation,
        host={"name": "a", **kept}, remotes=[{"name": "b", **kept, "context": "b"}],
        images=registry,
    )  # fmt: skip
    environment = load(file)
    listed = set(plan.image_names(environment))
    entries = plan.entries(environment, binaries.ensure(environment, "istioctl"))
    named = set(in_plan(entries))
    assert {n for n in listed if "/proxyv2:" not in n} == named - {"auto"}
    values = [v for e in entries for o in e.objects for v in injectors(o)]
    assert values
    assert {f"{v['global']['hub']}/proxyv2:{v['global']['tag']}" for v in values} <= listed


def injectors(manifest):
    """Yield the values from which an injector makes the proxy's image."""
    text = manifest.get("data", {}).get("values") if manifest["kind"] == "ConfigMap" else None
    if text:
        yield json.loads(text)


def containers(spec):
    return [*spec["containers"], *spec.get("initContainers", [])]


def said_by(mesh, cluster, image):
    """Run a pod of an image as it is; return what it printed."""
    ours = ("-n", "default")
    pod = ("run", "tiny", f"--image={image}", "--image-pull-policy=Never", "--restart=Never")
    mesh.kubectl(cluster, *ours, *pod)
    try:
        ended = "--for=jsonpath={.status.phase}=Succeeded"
        mesh.kubectl(cluster, *ours, "wait", "pod/tiny", ended, "--timeout=60s")
        return mesh.kubectl(cluster, *ours, "logs", "tiny").strip()
    finally:
        mesh.kubectl(cluster, *ours, "delete", "pod", "tiny", "--grace-period=0")
