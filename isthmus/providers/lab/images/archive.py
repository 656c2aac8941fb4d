"""Writing container images: one docker-archive of many, each layer in it once.

Format: the Docker image specification 1.2, "Combined Image JSON + Filesystem Changeset".
"""

import hashlib
import io
import json
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True)
class LayerEntry:
    """One file of a layer: a file's content, or where a link points."""

    path: str
    source: Path | None = None
    link: str = ""
    text: str = ""
    mode: int = 0o755


@dataclass(frozen=True)
class Image:
    """What an image runs and the layers that it lies on, lowest first."""

    name: str
    layers: Sequence[Path]
    entrypoint: Sequence[str] = ()
    env: Sequence[str] = ()
    user: str = ""
    command: Sequence[str] = field(default=())


def write_layer(path: Path, entries: Sequence[LayerEntry]) -> Path:
    """Make a layer of these entries, owned by root and without times: same input, same bytes."""
    with tarfile.open(path, "w") as tar:
        for entry in entries:
            _add(tar, entry)
    return path


def write_archive(path: Path, images: Sequence[Image]) -> None:
    """Write all images into one docker-archive."""
    digests = {layer: _digest(layer) for image in images for layer in image.layers}
    with tarfile.open(path, "w") as tar:
        for layer, digest in digests.items():
            tar.add(layer, f"{digest}/layer.tar")
        manifest = [_describe(tar, image, digests) for image in images]
        _text(tar, "manifest.json", json.dumps(manifest))


def _describe(tar: tarfile.TarFile, image: Image, digests: dict[Path, str]) -> dict[str, Any]:
    layers = [digests[layer] for layer in image.layers]
    config = json.dumps(
        {
            "architecture": "amd64",
            "os": "linux",
            "config": {
                "Env": [PATH, *image.env],
                "Entrypoint": list(image.entrypoint) or None,
                "Cmd": list(image.command) or None,
                "User": image.user,
            },
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{layer}" for layer in layers]},
        }
    )
    name = f"{hashlib.sha256(config.encode()).hexdigest()}.json"
    _text(tar, name, config)
    return {
        "Config": name,
        "RepoTags": [image.name],
        "Layers": [f"{layer}/layer.tar" for layer in layers],
    }


def _add(tar: tarfile.TarFile, entry: LayerEntry) -> None:
    info = tarfile.TarInfo(entry.path)
    info.mode = entry.mode
    if entry.link:
        info.type, info.linkname = tarfile.SYMTYPE, entry.link
        tar.addfile(info)
    elif entry.path.endswith("/"):
        info.type = tarfile.DIRTYPE
        tar.addfile(info)
    elif entry.source:
        info.size = entry.source.stat().st_size
        with entry.source.open("rb") as file:
            tar.addfile(info, file)
    else:
        _text(tar, entry.path, entry.text, entry.mode)


def _text(tar: tarfile.TarFile, name: str, text: str, mode: int = 0o644) -> None:
    info = tarfile.TarInfo(name)
    info.size, info.mode = len(text.encode()), mode
    tar.addfile(info, io.BytesIO(text.encode()))


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
