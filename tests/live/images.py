"""Images of one program, in archives: nothing the lab makes has them."""

import archives

from isthmus.providers.lab.images.archive import LayerEntry, write_layer
from isthmus.providers.lab.images.recipes import BUSYBOX

TINY = "example.com/team/tiny:1"
LATER = "team/later:1"
"""A short name, as people tag what they build."""


def tiny(path):
    """Write a gzipped docker-archive with one image, and return it."""
    plain = archives.docker(path.with_suffix(""), TINY, layer=layer(path.parent))
    packed = archives.zipped(plain)
    plain.unlink()
    return packed


def later(path):
    """Write an OCI layout with one image, and return it."""
    return archives.layout(path, {archives.REF: LATER}, layer=layer(path.parent))


def layer(folder):
    path = write_layer(folder / "layer.tar", [LayerEntry("busybox", BUSYBOX)])
    content = path.read_bytes()
    path.unlink()
    return content
