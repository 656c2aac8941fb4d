"""Archives into a containerd: one that makes a golden root, or one of a region that runs."""

import gzip
import json
import shutil
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from isthmus import events, state
from isthmus.adapters import shell
from isthmus.errors import Rejected, Unprepared
from isthmus.images import Archive, contents

RECORD = "archives.json"
"""In a containerd root: the keys of the archives in it. Never written to where regions share it."""
IMPORT_TIMEOUT = 900.0
"""Seconds for one archive: as long as a disk needs to write some gigabytes of it twice."""


def import_archives(root: Path, socket: Path, archives: Sequence[Archive]) -> None:
    """Make the containerd of this root have every image of these archives, by whole names.

    What the root has already, by content, is not imported again. Raises Unprepared, naming the
    archive, for one that is damaged inside.
    """
    record = root / RECORD
    had: list[str] = json.loads(record.read_text()) if record.exists() else []
    # Backwards: where two hold an image of one name, the first archive's is to stay.
    lacking = [archive for archive in reversed(archives) if archive.key() not in had]
    for archive in lacking:
        events.report_progress(f"importing {archive.path.name}: {len(archive.names)} images")
        _import(socket, archive)
    if lacking:
        state.write_private(record, json.dumps([*had, *(archive.key() for archive in lacking)]))


def import_into_region(region: Path, archives: Sequence[Archive]) -> None:
    """Make the running region of this folder have them: it may be older than its environment."""
    with socket_of(region) as socket:
        import_archives(region / "containerd", socket, archives)


@contextmanager
def socket_of(region: Path) -> Iterator[Path]:
    """Give the socket of a region's containerd, as seen from this machine."""
    with tempfile.TemporaryDirectory() as folder:
        # By way of a link: the path to the region may be too long for a socket.
        link = Path(folder) / "region"
        link.symlink_to(region)
        yield link / "containerd.sock"


def _import(socket: Path, archive: Archive) -> None:
    try:
        with _plain(archive.path) as tar:
            _ctr(socket, "import", tar)
    except Rejected as error:
        # Its last line; those before it are its log, with names of files that are gone by then.
        why = error.message.splitlines()[-1].removeprefix("ctr: ")
        text = f"{archive.path}: containerd cannot import it: {why}"
        raise Unprepared(text, hint=contents.HINT) from None
    for stored, name in zip(archive.containerd_names, archive.names, strict=True):
        # Nodes ask for the whole name, and an OCI layout may have been written with less.
        _ctr(socket, "tag", "--force", stored, name) if stored != name else None


def _ctr(socket: Path, *what: object) -> None:
    shell.run(["ctr", "-a", socket, "-n", "k8s.io", "images", *what], timeout=IMPORT_TIMEOUT)


@contextmanager
def _plain(path: Path) -> Iterator[Path]:
    """Give the archive as a tar that is not compressed: ctr 1.6 takes nothing else."""
    if path.is_file() and not contents.is_gzipped(path):
        yield path
        return
    with tempfile.TemporaryDirectory(dir=state.cache()) as folder:
        tar = Path(folder) / "images.tar"
        _pack(path, tar) if path.is_dir() else _unpack(path, tar)
        yield tar


def _pack(layout: Path, tar: Path) -> None:
    with tarfile.open(tar, "w", dereference=True) as packed:
        for name in (contents.LAYOUT, contents.INDEX):
            packed.add(layout / name, name)
        for blob in contents.blobs(layout):
            packed.add(blob, str(blob.relative_to(layout)))


def _unpack(path: Path, tar: Path) -> None:
    with gzip.open(path) as stream, tar.open("wb") as plain:
        shutil.copyfileobj(stream, plain, 1 << 20)
