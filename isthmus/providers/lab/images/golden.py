"""The golden containerd root: all images unpacked once; every region starts from hard links to it.

Layers and blobs are never written to, so regions may share them; the databases are copied.
"""

import hashlib
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock

from isthmus import progress, state, waiting
from isthmus.adapters import shell
from isthmus.errors import Rejected
from isthmus.providers.lab.images.archive import write_archive
from isthmus.providers.lab.images.recipes import READABLE, build
from isthmus.providers.lab.tools import Toolchain

SOURCES = ("recipes.py", "archive.py", "hello.py", "names.py")


def ensure_golden(tools: Toolchain) -> Path:
    """Make the golden root of this toolchain exist; return its folder."""
    folder = state.cache() / "images" / _key(tools)
    if folder.exists():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_suffix(".lock")):
        if not folder.exists():
            _make(folder, tools)
    return folder


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


def _make(folder: Path, tools: Toolchain) -> None:
    part = folder.with_suffix(".part")
    shutil.rmtree(part, ignore_errors=True)
    work = part / "work"
    work.mkdir(parents=True)
    progress.say("making images from packages and binaries")
    images = build(work, tools)
    archive = work / "images.tar"
    write_archive(archive, images)
    with _containerd(part) as socket:
        progress.say(f"unpacking {len(images)} images")
        shell.run(["ctr", "-a", socket, "-n", "k8s.io", "images", "import", archive], timeout=600)
    _forget_older(folder.parent)
    (part / "root").rename(folder)
    shutil.rmtree(part)


def _forget_older(parent: Path) -> None:
    # Regions keep their own links, so an old root is only what the next region would start from.
    for old in parent.iterdir():
        if old.is_dir() and old.suffix != ".part":
            shutil.rmtree(old)


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
            umask=READABLE,
        )
    try:
        waiting.until(lambda: True if _answers(socket, process) else None, "containerd", timeout=30)
        yield socket
    finally:
        process.kill()
        process.wait()


def _answers(socket: Path, process: subprocess.Popen[bytes]) -> bool:
    if process.poll() is not None:
        raise Rejected(f"containerd ended with {process.returncode}: see {socket.parent}")
    return shell.succeeds(["ctr", "-a", socket, "version"])
