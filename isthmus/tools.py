"""The command lines that steps run in clusters of any provider, and where each of them is found.

In this order: a folder that somebody names; the lab's toolchain, which is compiled if need be.
"""

import os
from dataclasses import dataclass
from pathlib import Path

from isthmus.errors import Unprepared

VARIABLE = "ISTHMUS_TOOLS"
"""Names a folder that holds the programs and the chart, as an image of Isthmus does."""
PROGRAMS = ("istioctl", "helm", "kubefedctl")
CHART = "kubefed-chart"


@dataclass(frozen=True)
class Tools:
    """Where each command line lies, and KubeFed's Helm chart."""

    istioctl: Path
    helm: Path
    kubefedctl: Path
    kubefed_chart: Path


def ensure() -> Tools:
    """Make all of them exist and return where they are.

    Raises Unprepared if the folder in ISTHMUS_TOOLS lacks one, or if none can be compiled here.
    """
    folder = os.environ.get(VARIABLE)
    return given(Path(folder).expanduser()) if folder else _compiled()


def given(folder: Path) -> Tools:
    """Return what a folder holds; raises Unprepared with everything that it lacks."""
    lacking = [name for name in PROGRAMS if not _is_program(folder / name)]
    if not (folder / CHART / "Chart.yaml").is_file():
        lacking.append(f"{CHART}/Chart.yaml")
    if lacking:
        raise Unprepared(
            f"{folder} ({VARIABLE}) lacks {', '.join(lacking)}",
            hint=f"put them there, or have them compiled here: unset {VARIABLE}",
        )
    istioctl, helm, kubefedctl = (folder / name for name in PROGRAMS)
    return Tools(istioctl, helm, kubefedctl, folder / CHART)


def _is_program(path: Path) -> bool:
    return path.is_file() and os.access(path, os.X_OK)


def _compiled() -> Tools:
    # Imported here: it asks for Go and for packages that only the lab needs.
    from isthmus.providers.lab.tools import ensure_toolchain

    toolchain = ensure_toolchain()
    istioctl, helm, kubefedctl = (toolchain.bin / name for name in PROGRAMS)
    return Tools(istioctl, helm, kubefedctl, toolchain.share / CHART)
