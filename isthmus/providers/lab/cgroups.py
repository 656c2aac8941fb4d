"""The control groups of a region's pods and containers, and their end."""

import os
from contextlib import suppress
from pathlib import Path

from isthmus import polling
from isthmus.errors import NotReady

ROOT = Path("/sys/fs/cgroup")
CONTAINERS = "k8s.io"
"""Where containerd puts containers that it was told no parent for: its namespace's name."""
REMOVAL_TIMEOUT = 5.0
"""Seconds for the last processes of a region that was killed; milliseconds are usual."""


def remove(parent: str, folder: Path) -> None:
    """Leave no control group of a region's pods, below `parent`, nor of its containers.

    containerd takes a container's away when the container ends; that of a region which was killed
    is left to us, and named by what containerd keeps in the region's folder. What a process is
    still in, which is about to end, is tried again; what stays is nobody's harm.
    """
    names = [parent, *(f"{CONTAINERS}/{identity}" for identity in _containers(folder))]
    with suppress(NotReady):
        polling.until(
            lambda: None if _left(names) else True,
            "the region's cgroups to be removed",
            timeout=REMOVAL_TIMEOUT,
            interval=0.05,
        )


def _left(names: list[str]) -> list[Path]:
    """Remove what is empty of these, in every hierarchy, and return what is left."""
    hierarchies = (ROOT, *(place for place in ROOT.iterdir() if place.is_dir()))
    places = [hierarchy / name for hierarchy in hierarchies for name in names]
    for place in places:
        for below, _, _ in os.walk(place, topdown=False):
            _remove_empty(below)
    for hierarchy in hierarchies:
        _remove_empty(hierarchy / CONTAINERS)
    return [place for place in places if place.exists()]


def _containers(folder: Path) -> list[str]:
    found = (folder / "containerd").glob("io.containerd.grpc.v1.cri/*/*")
    return [path.name for path in found]


def _remove_empty(folder: str | Path) -> None:
    # It may be a kernel file's folder, a controller that is mounted twice, or another's.
    with suppress(OSError):
        os.rmdir(folder)
