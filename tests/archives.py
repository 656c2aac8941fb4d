"""Images in tests: archives as tools write them, made small, and the images that a plan names."""

import gzip
import hashlib
import io
import json
import tarfile
from pathlib import Path

NAME = "io.containerd.image.name"
REF = "org.opencontainers.image.ref.name"
OCI = "application/vnd.oci.image"


def docker(path: Path, *tags: str | None, layer: bytes = b"", without: str = "") -> Path:
    """Write what `docker save` writes: one image a tag; `None` is an image saved by its ID."""
    files = {}
    manifest = []
    for tag in tags:
        config, name = _config(layer), f"{len(files)}.json"
        files |= {name: config, "layer.tar": layer}
        saved = {"Config": name, "RepoTags": [tag] if tag else None, "Layers": ["layer.tar"]}
        manifest.append(saved)
    files["manifest.json"] = json.dumps(manifest).encode()
    return tar(path, {name: data for name, data in files.items() if name != without})


def layout(path: Path, *annotations: dict[str, str], layer: bytes = b"") -> Path:
    """Write an OCI layout as a folder: one image for each set of annotations."""
    for name, data in layout_files(*annotations, layer=layer).items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(data)
    return path


def layout_files(*annotations: dict[str, str], layer: bytes = b"") -> dict[str, bytes]:
    """Return the files of an OCI layout."""
    config = _config(layer)
    manifest = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": f"{OCI}.manifest.v1+json",
            "config": {"mediaType": f"{OCI}.config.v1+json", **_described(config)},
            "layers": [{"mediaType": f"{OCI}.layer.v1.tar", **_described(layer)}],
        }
    ).encode()
    described = {"mediaType": f"{OCI}.manifest.v1+json", **_described(manifest)}
    index = {
        "schemaVersion": 2,
        "manifests": [{**described, "annotations": a} for a in annotations],
    }
    blobs = {f"blobs/sha256/{_sha256(b)}": b for b in (config, manifest, layer)}
    return {
        "oci-layout": b'{"imageLayoutVersion": "1.0.0"}',
        "index.json": json.dumps(index).encode(),
        **blobs,
    }


def tar(path: Path, files: dict[str, bytes]) -> Path:
    """Write a tar of these files, the same bytes each time."""
    with tarfile.open(path, "w") as packed:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            packed.addfile(info, io.BytesIO(data))
    return path


def zipped(path: Path) -> Path:
    """Write the gzipped file beside a file, and return it."""
    packed = path.with_name(f"{path.name}.gz")
    packed.write_bytes(gzip.compress(path.read_bytes(), mtime=0))
    return packed


def in_plan(entries):
    """Yield every image that the plan's objects and Helm values name."""
    for entry in entries:
        yield from _under({"objects": list(entry.objects), "stdin": entry.stdin})


def _under(value):
    if isinstance(value, list):
        for inner in value:
            yield from _under(inner)
    elif isinstance(value, dict) and {"repository", "image", "tag"} <= set(value):
        yield f"{value['repository']}/{value['image']}:{value['tag']}"
    elif isinstance(value, dict):
        if "/image" in str(value.get("path")):
            yield value["value"]
        if isinstance(value.get("image"), str):
            yield value["image"]
        for inner in value.values():
            yield from _under(inner)


def _config(layer: bytes) -> bytes:
    rootfs = {"type": "layers", "diff_ids": [f"sha256:{_sha256(layer)}"]}
    config = {"Entrypoint": ["/busybox", "echo", "hello"]}
    about = {"architecture": "amd64", "os": "linux", "config": config, "rootfs": rootfs}
    return json.dumps(about).encode()


def _described(data: bytes) -> dict[str, object]:
    return {"digest": f"sha256:{_sha256(data)}", "size": len(data)}


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
