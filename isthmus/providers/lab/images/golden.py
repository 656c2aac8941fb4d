"""The golden containerd root: all images unpacked once; every region starts from hard links to it.

Layers and blobs are never written to, so regions may share them; the databases are copied.
"""

import hashlib
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock

from isthmus import events, polling, state
from isthmus.adapters import shell, subprocess_env
from isthmus.errors import Rejected
from isthmus.images import Archive
from isthmus.providers.lab.images.archive import write_archive
from isthmus.providers.lab.images.loading import import_archives
from isthmus.providers.lab.images.recipes import IMAGE_UMASK, build
from isthmus.providers.lab.tools import Toolchain

MAX_GOLDEN_ROOTS = 4
"""Roots: with and without archives, of this toolchain and the one before; layers are shared."""
SOURCES = ("recipes.py", "archive.py", "hello.py", "names.py")


def ensure_golden(tools: Toolchain, archives: Sequence[Archive] = ()) -> Path:
    """Make the golden root of this toolchain, with what archives hold, exist; return its folder.

    Raises Unprepared, naming the archive, if containerd does not take one.
    """
    base = _ensured(_key(tools), lambda part: _make(part, tools))
    if not archives:
        return base
    key = hashlib.sha256(",".join([base.name, *(a.key() for a in archives)]).encode())
    return _ensured(key.hexdigest()[:16], lambda part: _extend(part, base, archives))


def copy_golden(golden: Path, target: Path) -> None:
    """Make `target` a containerd root of its own with every image in it."""
    same = golden.stat().st_dev == target.parent.stat().st_dev
    shell.run(["cp", "-al" if same else "-a", golden, target])
    for database in golden.rglob("*.db"):
        copy = target / database.relative_to(golden)
        copy.unlink()
        shutil.copy2(database, copy)


def _key(tools: Toolchain) -> str:
    digest = hashlib.sha256(tools.key.encode())
    for name in SOURCES:
        digest.update(Path(__file__).with_name(name).read_bytes())
    return digest.hexdigest()[:16]


def _ensured(key: str, make: Callable[[Path], None]) -> Path:
    """Return the root of that key; `make` is given a folder in which to make one called `root`."""
    folder = state.cache() / "images" / key
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_suffix(".lock")):
        if not folder.exists():
            part = folder.with_suffix(".part")
            shutil.rmtree(part, ignore_errors=True)
            part.mkdir()
            make(part)
            (part / "root").rename(folder)
            shutil.rmtree(part)
        # Before old ones are looked for, and because its age is that of its last use.
        os.utime(folder)
        _forget_older(folder.parent)
    return folder


def _make(part: Path, tools: Toolchain) -> None:
    work = part / "work"
    work.mkdir()
    events.report_progress("making images from packages and binaries")
    images = build(work, tools)
    archive = work / "images.tar"
    write_archive(archive, images)
    with _containerd(part) as socket:
        events.report_progress(f"unpacking {len(images)} images")
        shell.run(["ctr", "-a", socket, "-n", "k8s.io", "images", "import", archive], timeout=600)


def _extend(part: Path, base: Path, archives: Sequence[Archive]) -> None:
    copy_golden(base, part / "root")
    with _containerd(part) as socket:
        import_archives(part / "root", socket, archives)


def _forget_older(parent: Path) -> None:
    # Regions keep their own links, so an old root is only what the next region would start from.
    roots = [old for old in parent.iterdir() if old.is_dir() and old.suffix != ".part"]
    for old in sorted(roots, key=lambda root: root.stat().st_mtime)[:-MAX_GOLDEN_ROOTS]:
        shutil.rmtree(old, ignore_errors=True)


@contextmanager
def _containerd(part: Path) -> Iterator[Path]:
    """Run a containerd on the root to be, in a mount and process namespace that end with it."""
    socket = part / "containerd.sock"
    config = part / "containerd.toml"
    config.write_text(
        f'version = 2\nroot = "{part}/root"\nstate = "{part}/state"\n'
        f'disabled_plugins = ["io.containerd.grpc.v1.cri"]\n[grpc]\n  address = "{socket}"\n'
    )
    # Dies with this process, however that ends: nobody else would know of it.
    command = ["setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "--pid", "--fork"]
    command += ["--kill-child", "--mount-proc", "containerd", "-c", str(config)]
    with (part / "containerd.log").open("wb") as log:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=subprocess_env.for_region(),
            umask=IMAGE_UMASK,
        )
    try:
        polling.until(
            lambda: True if _answers(socket, process) else None, "containerd to answer", timeout=30
        )
        yield socket
    finally:
        process.kill()
        process.wait()


def _answers(socket: Path, process: subprocess.Popen[bytes]) -> bool:
    if process.poll() is not None:
        raise Rejected(f"containerd exited with {process.returncode}: see {socket.parent}")
    return shell.succeeds(["ctr", "-a", socket, "version"])
