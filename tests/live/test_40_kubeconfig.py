"""Provider kubeconfig: clusters that exist are handed over, used, and given back as they were."""

import json
import signal
import subprocess

import pytest
from live.files import write
from live.runs import until_step

from isthmus import waiting
from isthmus.providers.lab import needs

PASSING = {"events", "leases", "endpoints", "endpointslices", "replicasets", "pods"}
"""Kinds whose objects come and go by themselves."""


@pytest.fixture(scope="module")
def handed_over(isthmus, tmp_path_factory):
    """Two bare regions, as an administrator would have made them, known by kubeconfig alone."""
    folder = tmp_path_factory.mktemp("handed-over")
    file = write(folder / "bare.yaml", name="bare", host={"name": "one"}, remotes=[{"name": "two"}])
    script = (
        "from pathlib import Path; from isthmus import providers, state\n"
        "from isthmus.environment import load\n"
        "from isthmus.cli import environments\n"
        f"e = load(Path({str(file)!r})); environments.remember(e)\n"
        "[providers.of(e).ensure(e, c) for c in e.clusters]\n"
    )
    run_python(isthmus, script)
    regions = isthmus.home / "environments" / "bare" / "regions"
    clusters = {name: regions / name / "kubeconfig" for name in ("one", "two")}
    for name in clusters:
        waiting.until(lambda name=name: settled(clusters, name), f"{name} to settle", timeout=60)
    yield clusters
    script = script.rsplit("[", 1)[0] + "providers.of(e).delete(e)\n"
    run_python(isthmus, script + "import shutil; shutil.rmtree(state.folder(e.name))\n")


def run_python(isthmus, script: str) -> None:
    import sys

    subprocess.run([sys.executable, "-c", script], env=isthmus.env, check=True)


def environment(folder, clusters, federation: str):
    def cluster(name: str, network: str) -> dict:
        return {
            "name": name,
            "network": network,
            "kubeconfig": str(clusters[name]),
            "context": name,
        }

    lab = needs.DEFAULTS
    return write(
        folder / "theirs.yaml",
        name="theirs",
        provider="kubeconfig",
        federation=federation,
        host=cluster("one", "network1"),
        remotes=[cluster("two", "network2")],
        images=lab.images.model_dump(exclude_none=True),
        resources=lab.resources.model_dump(exclude_none=True),
        overlays={"host": lab.host_overlay, "remote": lab.remote_overlay},
    )


def settled(clusters, name: str) -> bool | None:
    """Wait for what a new cluster makes by itself in each of its four namespaces."""
    found = everything({name: clusters[name]})[name]
    own = [o for o in found if "/kube-root-ca.crt" in o or o.startswith("ServiceAccount ")]
    own = [o for o in own if o.endswith(("/kube-root-ca.crt", "/default"))]
    return True if len(own) == 8 else None


def everything(clusters) -> dict[str, set[str]]:
    """Name every lasting object of every cluster."""
    from isthmus.adapters.kube import Kube
    from isthmus.facts import Access

    found = {}
    for name, kubeconfig in clusters.items():
        client = Kube(Access(cluster=name, kubeconfig=kubeconfig, context=name))
        kinds = [k for k in client.kinds.removable() if k[2] not in PASSING]
        found[name] = {
            f"{kind} {o['metadata'].get('namespace', '')}/{o['metadata']['name']}"
            for api, kind, _ in kinds
            for o in client.objects(kind, api=api)
        }
    return found


@pytest.mark.parametrize("federation", ["kubefed", "direct"])
def test_a_mesh_on_clusters_that_exist_is_built_and_taken_away(
    isthmus, handed_over, federation, tmp_path
):
    before = everything(handed_over)
    kubeconfigs = {name: path.read_text() for name, path in handed_over.items()}
    file = environment(tmp_path, handed_over, federation)
    assert isthmus.document("up", file)["verdict"] == "pass"
    isthmus.run("down", "theirs")
    after = everything(handed_over)
    assert {c: sorted(after[c] ^ before[c]) for c in before} == {"one": [], "two": []}
    assert {name: path.read_text() for name, path in handed_over.items()} == kubeconfigs


@pytest.mark.parametrize("steps", [6, 13])
def test_what_a_killed_build_left_in_clusters_that_stay_is_taken_away(
    isthmus, handed_over, steps, tmp_path
):
    before = everything(handed_over)
    process = isthmus.start("up", environment(tmp_path, handed_over, "kubefed"))
    until_step(process, steps)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    isthmus.run("down", "theirs")
    after = everything(handed_over)
    assert {c: sorted(after[c] ^ before[c]) for c in before} == {"one": [], "two": []}


def test_what_somebody_else_made_is_neither_taken_over_nor_deleted(isthmus, handed_over, tmp_path):
    from isthmus.adapters.kube import Kube
    from isthmus.facts import Access

    client = Kube(Access(cluster="one", kubeconfig=handed_over["one"], context="one"))
    theirs = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "istio-system"}}
    client.apply([theirs])
    try:
        _, err = isthmus.run("up", environment(tmp_path, handed_over, "direct"), code=1)
        assert "Namespace istio-system" in err and "one" in err
        isthmus.run("down", "theirs")
        assert client.get("Namespace", "istio-system"), "not ours to delete"
    finally:
        client.delete(theirs)


def test_two_names_of_one_cluster_are_refused(isthmus, handed_over, tmp_path):
    twice = {"one": handed_over["one"], "two": tmp_path / "copy"}
    text = json.loads(handed_over["one"].read_text())
    text["contexts"][0]["name"] = text["current-context"] = "two"
    (tmp_path / "copy").write_text(json.dumps(text))
    _, err = isthmus.run("up", environment(tmp_path, twice, "direct"), code=65)
    assert "same cluster" in err
