"""The control groups of a region's pods and containers, and their end."""

import os
from contextlib import suppress
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
CONTAINERS = "k8s.io"
"""Where containerd puts containers that it was told no parent for: its namespace's name."""


def remove(parent: str, folder: Path) -> None:
    """Leave no control group of a region's pods, below `parent`, nor of its containers.

    containerd takes a container's away when the container ends; that of a region which was killed
    is left to us, and named by what containerd keeps in the region's folder.
    """
    names = [parent, *(f"{CONTAINERS}/{identity}" for identity in _containers(folder))]
    for hierarchy in (ROOT, *(place for place in ROOT.iterdir() if place.is_dir())):
        for name in names:
            for below, _, _ in os.walk(hierarchy / name, topdown=False):
                _remove_empty(below)
        _remove_empty(hierarchy / CONTAINERS)


def _containers(folder: Path) -> list[str]:
    found = (folder / "containerd").glob("io.containerd.grpc.v1.cri/*/*")
    return [path.name for path in found]


def _remove_empty(folder: str | Path) -> None:
    # It may be a kernel file's folder, a controller that is mounted twice, or another's.
    with suppress(OSError):
        os.rmdir(folder)
