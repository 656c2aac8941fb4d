"""Archives of images: which images they hold, by a look that unpacks nothing and follows no link.

Formats: a docker-archive (`docker save`), and an OCI layout, as a folder or as a tar; a tar may be
gzipped. Which of the two a tar is, is decided as containerd does: what has `oci-layout` is OCI.
"""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from isthmus.errors import Unprepared
from isthmus.images import contents

SUFFIXES = (".tar", ".tar.gz", ".tgz")
"""How a file in a folder of archives ends."""
KINDS = f"{', '.join(SUFFIXES)}, or folders with an OCI layout"


@dataclass(frozen=True)
class Archive:
    """One archive, and the images in it."""

    path: Path
    """A file, or a folder with an OCI layout."""
    names: tuple[str, ...]
    """The images' whole names."""
    containerd_names: tuple[str, ...]
    """The same images by the names that containerd gives them when it imports the archive."""

    def key(self) -> str:
        """Return what changes whenever the content does: a SHA-256, in hexadecimal."""
        # A layout's index names everything else by digest.
        file = self.path / contents.INDEX if self.path.is_dir() else self.path
        return _digest(file, *_stamp(file))


def find(paths: Iterable[Path]) -> dict[str, Archive]:
    """Return which archive holds each image, by its whole name; of two archives the first counts.

    A path is an archive, or a folder of archives. Raises Unprepared, with the file and what is
    wrong, for a path that is not there, and for an archive that is broken or names no image.
    """
    found: dict[str, Archive] = {}
    for path in paths:
        for archive in map(_look, _archives(path)):
            for name in archive.names:
                found.setdefault(name, archive)
    return found


def _archives(path: Path) -> Iterator[Path]:
    if path.is_dir() and not _is_layout(path):
        yield from (f for f in sorted(path.iterdir()) if _is_layout(f) or _is_packed(f))
    elif path.is_dir() or path.is_file():
        yield path
    else:
        raise Unprepared(
            f"{path}: no such file or folder", hint="correct `images.archives`, or put it there"
        )


def _is_packed(path: Path) -> bool:
    return path.name.endswith(SUFFIXES) and path.is_file()


def _is_layout(path: Path) -> bool:
    return (path / contents.LAYOUT).is_file()


def _look(path: Path) -> Archive:
    # A folder's own time does not change with what is in its files; and it is read in a moment.
    named = contents.images(path) if path.is_dir() else _images(path, *_stamp(path))
    return Archive(path, tuple(named), tuple(named.values()))


def _stamp(file: Path) -> tuple[int, int]:
    seen = file.stat()
    return seen.st_size, seen.st_mtime_ns


@cache
def _images(path: Path, size: int, moment: int) -> dict[str, str]:
    return contents.images(path)


@cache
def _digest(path: Path, size: int, moment: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
