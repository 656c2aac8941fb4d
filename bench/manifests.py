"""What a person has at hand when the walk begins: manifests and certificates, in a folder."""

import shutil
from pathlib import Path

import yaml

from isthmus import mesh_ca, state
from isthmus.providers.lab import components
from isthmus.providers.lab.images import names
from isthmus.render import Manifest, render

OWN = Path(__file__).with_name("manifests")
"""IstioOperators as a person would write them, with Istio's own defaults."""
REGIONS = ("a", "b")


def write(folder: Path) -> None:
    """Make the folder hold every file that the walk reads."""
    for path in OWN.iterdir():
        shutil.copy2(path, folder)
    for name, manifests in _rendered().items():
        (folder / f"{name}.yaml").write_text(yaml.safe_dump_all(manifests))
    for key, text in mesh_ca.cacerts(folder / "ca", REGIONS[0]).items():
        state.write_private(folder / "cacerts" / key, text)


def _rendered() -> dict[str, list[Manifest]]:
    return {
        "coredns": render(
            "lab/coredns.yaml.j2", image=names.COREDNS, address=components.CLUSTER_DNS
        ),
        "expose": [
            *render("istio-1.31/expose-istiod.yaml.j2"),
            *render("istio-1.31/expose-services.yaml.j2"),
        ],
        "callers": render("sample/callers.yaml.j2", image=names.CALLER, pull_policy="Never"),
        "federated-deployment": _sample(),
    }


def _sample() -> list[Manifest]:
    [deployment] = render(
        "sample/deployment.yaml.j2",
        version="v1",
        image=names.helloworld("v1"),
        pull_policy="Never",
    )
    return render(
        "sample/federated-deployment.yaml.j2",
        deployment=deployment,
        labels={},
        clusters=list(REGIONS),
        remotes=list(REGIONS[1:]),
        v2_image=names.helloworld("v2"),
    )
