"""The image of Isthmus itself, for runs as pods: made when asked for, and given to one region.

deployments/kubernetes/Dockerfile makes the same with Docker: same folders, variables, user.
"""

import hashlib
import sys
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock

from isthmus import events, state
from isthmus.adapters import shell
from isthmus.errors import Unprepared
from isthmus.providers.lab.images import names, packages, recipes
from isthmus.providers.lab.images.archive import Image, LayerEntry, write_archive, write_layer
from isthmus.providers.lab.images.loading import socket_of
from isthmus.providers.lab.tools import Toolchain

NAME = f"{names.HUB}/isthmus:{names.TAG}"
USER = "1000"
DEBIAN = "python3-minimal,libpython3-stdlib,libstdc++6"
TOOLS = "opt/isthmus"
PROGRAMS = ("istioctl", "helm", "kubefedctl")
CHART = "kubefed-chart"
CONTAINER_ENV = {
    "HOME": "/tmp",
    "PYTHONUNBUFFERED": "1",
    "ISTHMUS_HOME": "/var/lib/isthmus",
    "ISTHMUS_CACHE": "/var/lib/isthmus/cache",
    "ISTHMUS_TOOLS": f"/{TOOLS}",
    "PREFECT_HOME": "/tmp/prefect",
    "PREFECT_RESULTS_LOCAL_STORAGE_PATH": "/var/lib/isthmus/results",
    "PREFECT_SERVER_EPHEMERAL_ENABLED": "false",
    "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",
    "DO_NOT_TRACK": "1",
}
# Kubernetes has no setting for it; what a run writes is for nobody else to read.
ENTRYPOINT = ("/bin/sh", "-c", 'umask 077; exec "$@"', "isthmus")
SCRIPT = """#!/usr/bin/python3
import runpy, sys
sys.argv[0] = {name!r}
runpy.run_module({module!r}, run_name="__main__")
"""
SCRIPTS = {"prefect": "prefect", "isthmus": "isthmus.cli.main"}


def load_into_region(region: Path, tools: Toolchain) -> str:
    """Make the running region of this folder have the image; return the image's name.

    Raises Unprepared if Debian's Python is not of the kind that runs here.
    """
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        archive = work / "isthmus.tar"
        write_archive(archive, [build(work, tools)])
        events.report_progress(f"loading {NAME}")
        with socket_of(region) as socket:
            command = ["ctr", "-a", socket, "-n", "k8s.io", "images", "import", archive]
            shell.run(command, timeout=600)
    return NAME


def build(folder: Path, tools: Toolchain) -> Image:
    """Make every layer, those that change seldom in the cache, and return the image."""
    debian = _cached_layer("debian", DEBIAN, lambda path: recipes.debian(path, DEBIAN))
    _check_python(debian)
    found = packages.required_distributions()
    installed = _cached_layer(
        "packages", packages.key(found), lambda path: packages.layer(path, found)
    )
    layers = [
        debian,
        write_layer(folder / "userland.tar", _userland()),
        write_layer(folder / "tools.tar", _tools(tools)),
        installed,
        packages.write_project_layer(folder / "own.tar"),
    ]
    variables = [f"{name}={value}" for name, value in CONTAINER_ENV.items()]
    return Image(NAME, layers, ENTRYPOINT, variables, USER)


def _cached_layer(name: str, contents: str, make: Callable[[Path], Path]) -> Path:
    """Return the layer of these contents from the cache, made if it is not there."""
    key = hashlib.sha256(contents.encode()).hexdigest()[:16]
    folder = state.cache() / "layers"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}-{key}.tar"
    with FileLock(folder / f"{name}.lock"):
        if not path.exists():
            events.report_progress(f"making layer {name}")
            part = path.with_suffix(".part.tar")
            make(part)
            for old in folder.glob(f"{name}-*.tar"):
                old.unlink() if old != part else None
            part.rename(path)
    return path


def _check_python(debian: Path) -> None:
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    with tarfile.open(debian) as tar:
        if f"./usr/lib/{version}/os.py" in tar.getnames():
            return
    raise Unprepared(
        f"this system's own Python is not {version}, for which the packages here are",
        hint="make .venv with the system's Python (PYTHON=/usr/bin/python3), or use the Dockerfile",
    )


def _userland() -> list[LayerEntry]:
    scripts = (
        LayerEntry(f"usr/local/bin/{name}", text=SCRIPT.format(name=name, module=module))
        for name, module in SCRIPTS.items()
    )
    # Prefect copies the folder that it is started in for every run: it is started in srv, empty.
    folders = LayerEntry("tmp/", mode=0o1777), LayerEntry("srv/")
    python = LayerEntry("usr/local/bin/python", link="/usr/bin/python3")
    return [*recipes.userland(USER, "isthmus"), *folders, python, *scripts]


def _tools(tools: Toolchain) -> list[LayerEntry]:
    chart = tools.share / CHART
    files = (path for path in sorted(chart.rglob("*")) if path.is_file())
    return [
        *(LayerEntry(f"{TOOLS}/{name}", tools.bin / name) for name in PROGRAMS),
        *(LayerEntry(f"{TOOLS}/{CHART}/{p.relative_to(chart)}", p, mode=0o644) for p in files),
    ]
