"""Images: which ones an environment runs, under which names, and which archives hold them."""

from isthmus.images.archives import Archive, find
from isthmus.images.names import normalize_name, with_registry
from isthmus.images.selection import istio_image, required_images, select_images

__all__ = [
    "Archive",
    "find",
    "istio_image",
    "normalize_name",
    "required_images",
    "select_images",
    "with_registry",
]
