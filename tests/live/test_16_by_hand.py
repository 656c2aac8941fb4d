"""The plan: a person who does what its ORDER.txt says has a mesh, and `up` finds little to do."""

import base64
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from live.bare import environment_of, regions, run_python

from isthmus import mesh_ca
from isthmus.adapters import kubeconfigs
from isthmus.providers.lab.tools import ensure_toolchain
from isthmus.step_results import Access

CLUSTERS = ["one", "two"]
NAME = "by-hand"
AS_BEFORE = ("install host", "expose host", "install remote", "join", "deploy caller")
"""Steps that find all as a person has made it. Wiring writes the remote secret anew: istioctl's
has the same in YAML."""


@pytest.fixture
def clusters(isthmus, machine, tmp_path):
    """Two bare regions, known by kubeconfig alone."""
    with regions(isthmus, tmp_path, "bare", CLUSTERS) as made:
        yield made


@pytest.mark.long
def test_what_the_plan_says_makes_a_mesh_when_done_by_hand(isthmus, clusters, tmp_path):
    file = environment_of(tmp_path / "by-hand.yaml", NAME, clusters, "kubefed")
    plan = tmp_path / "plan"
    isthmus.run("render", file, "--to", plan)
    take_trust(isthmus, plan)
    said = by_hand(plan, merged(clusters, tmp_path))
    assert set(re.findall(r"Hello version: (v\d)", said)) == {"v1", "v2"}
    _, err = isthmus.run("up", file)
    for step in AS_BEFORE:
        ended = [line for line in err.splitlines() if re.search(rf"\bok +{step} ", line)]
        assert ended and all("unchanged" in line for line in ended), (step, ended)
    isthmus.run("down", NAME)


def take_trust(isthmus, plan: Path) -> None:
    """Copy the trust that `up` will use, and put it where the plan shows that it is masked."""
    made = isthmus.home / "environments" / NAME / "ca"
    names = ", ".join(map(repr, CLUSTERS))
    script = "from pathlib import Path; from isthmus import mesh_ca\n"
    run_python(isthmus, f"{script}[mesh_ca.cacerts(Path({str(made)!r}), c) for c in ({names})]")
    shutil.copytree(made, plan / "ca")
    [path] = plan.glob("*-federate-secret-cacerts.yaml")
    secret = yaml.safe_load(path.read_text())
    for cluster in secret["spec"]["overrides"]:
        pairs = mesh_ca.cacerts(made, cluster["clusterName"])
        [change] = cluster["clusterOverrides"]
        assert set(change["value"].values()) == {"***"}
        change["value"] = {
            key: base64.b64encode(text.encode()).decode() for key, text in pairs.items()
        }
    path.write_text(yaml.safe_dump(secret))


def merged(clusters: dict[str, Path], folder: Path) -> Path:
    found = [Access(cluster=n, kubeconfig=path, context=n) for n, path in clusters.items()]
    return kubeconfigs.merge(found, folder / "kubeconfig")


def by_hand(plan: Path, kubeconfig: Path) -> str:
    """Run every line of the plan as a person would who has a kubeconfig and the trust."""
    toolchain = ensure_toolchain()
    (plan / "kubefed-chart").symlink_to(toolchain.share / "kubefed-chart")
    preface, _, order = (plan / "ORDER.txt").read_text().partition("\n01 ")
    # The trust is `up`'s own, so of the preface only this counts.
    kept = [line for line in preface.splitlines() if re.match(" +(set|cat) ", line)]
    lines = [*kept, *(line for line in order.splitlines() if line.startswith("   "))]
    path = f"{toolchain.bin}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", "\n".join(lines)],
        cwd=plan,
        env={**os.environ, "PATH": path, "KUBECONFIG": str(kubeconfig)},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, f"{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
    return done.stdout
