"""What one archive says of itself: its small JSON files read and checked, nothing else.

Sources: the Docker image specification 1.2 (manifest.json), the OCI image layout (index.json), and
containerd's archive/importer.go (which annotation names an image).
"""

import gzip
import posixpath
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError

from isthmus.errors import Unprepared
from isthmus.images.names import normalize_name

LAYOUT, INDEX, MANIFEST = "oci-layout", "index.json", "manifest.json"
NAME = "io.containerd.image.name"
REF = "org.opencontainers.image.ref.name"
LIMIT = 4 << 20
"""Bytes of one of these files; containerd reads no more of a manifest either (8 MiB)."""
HINT = "write it again, each image by its whole name: docker save -o FILE.tar REGISTRY/NAME:TAG"

T = TypeVar("T")


class BrokenArchive(Exception):
    """An archive is not as it should be; the text says in what."""


class _Saved(BaseModel):
    Config: str
    RepoTags: list[str] | None = None
    Layers: list[str]


class _Described(BaseModel):
    digest: str
    annotations: dict[str, str] | None = None


class _Index(BaseModel):
    manifests: list[_Described]


def images(path: Path) -> dict[str, str]:
    """Return the images of an archive: whole name -> the name that containerd will give it.

    Raises Unprepared, naming the file, if it is truncated, damaged, of another kind or nameless.
    """
    try:
        files, members = _folder(path) if path.is_dir() else _tar(path)
        named = dict(_oci(files, members) if LAYOUT in files else _docker(files, members))
        if not named:
            raise BrokenArchive("holds no image with a name of its own, only digests or bare tags")
    except (OSError, EOFError, tarfile.TarError, zlib.error) as error:
        # OSError too if it is gzipped and damaged; an error of the disk says so itself.
        what = getattr(error, "strerror", None) or f"is truncated or damaged ({error})"
        raise Unprepared(f"{path}: {what}", hint=HINT) from None
    except BrokenArchive as error:
        raise Unprepared(f"{path}: {error}", hint=HINT) from None
    return named


def is_gzipped(path: Path) -> bool:
    """Tell whether a file is gzipped, whatever its name is."""
    with path.open("rb") as file:
        return file.read(2) == b"\x1f\x8b"


def blobs(layout: Path) -> list[Path]:
    """Return the files that an OCI layout consists of besides its index, sorted; no link leads out.

    Raises BrokenArchive if one does.
    """
    found = sorted(layout.glob("blobs/*/*"))
    if [b for b in found if not b.resolve().is_relative_to(layout.resolve())]:
        raise BrokenArchive("has a link in it that leads out of it")
    return [blob for blob in found if blob.is_file()]


@contextmanager
def opened(path: Path) -> Iterator[tarfile.TarFile]:
    """Open a tar, gzipped or not, to be read once from its beginning to its end."""
    if is_gzipped(path):
        with gzip.open(path) as stream, tarfile.open(fileobj=stream, mode="r|") as tar:
            yield tar
    else:
        with tarfile.open(path, "r:") as tar:
            yield tar


def _tar(path: Path) -> tuple[dict[str, bytes], set[str]]:
    files, members = {}, set()
    with opened(path) as tar:
        for member in tar:
            name = posixpath.normpath(member.name)
            members.add(name)
            if name in (LAYOUT, INDEX, MANIFEST):
                if not member.isreg() or member.size > LIMIT:
                    raise BrokenArchive(f"{name} in it is no file, or too large")
                content = tar.extractfile(member)
                files[name] = content.read() if content else b""
    return files, members


def _folder(path: Path) -> tuple[dict[str, bytes], set[str]]:
    files = {}
    for name in (LAYOUT, INDEX):
        file = path / name
        if file.is_symlink() or not file.is_file() or file.stat().st_size > LIMIT:
            raise BrokenArchive(f"{name} in it is no file, or too large")
        files[name] = file.read_bytes()
    return files, {str(blob.relative_to(path)) for blob in blobs(path)}


def _oci(files: dict[str, bytes], members: set[str]) -> Iterator[tuple[str, str]]:
    for image in _read(TypeAdapter(_Index), files, INDEX).manifests:
        _require(f"blobs/{image.digest.replace(':', '/', 1)}", members)
        known = image.annotations or {}
        reference = known.get(REF, "")
        # Without any of these it is a bare tag, and containerd invents the rest of the name.
        is_tag = not any(sign in reference for sign in "/:@")
        if stored := known.get(NAME) or ("" if is_tag else reference):
            yield _whole(stored), stored


def _docker(files: dict[str, bytes], members: set[str]) -> Iterator[tuple[str, str]]:
    for image in _read(TypeAdapter(list[_Saved]), files, MANIFEST):
        for name in (image.Config, *image.Layers):
            _require(posixpath.normpath(name), members)
        for name in map(_whole, image.RepoTags or ()):
            yield name, name


def _read(shape: TypeAdapter[T], files: dict[str, bytes], name: str) -> T:
    if name not in files:
        raise BrokenArchive(f"is not an image archive: it has neither {LAYOUT} nor {MANIFEST}")
    try:
        return shape.validate_json(files[name])
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]["msg"]
        raise BrokenArchive(f"{name} in it is not as it should be: {first}") from None


def _require(name: str, members: set[str]) -> None:
    if name not in members:
        raise BrokenArchive(f"is incomplete: it lacks {name[:100]!r}")


def _whole(name: str) -> str:
    try:
        return normalize_name(name)
    except ValueError as error:
        raise BrokenArchive(f"has an {error}") from None
