"""The lab's images: made once from Debian packages and the toolchain, shared by all regions."""

from isthmus.providers.lab.images.golden import copy_golden, ensure_golden
from isthmus.providers.lab.images.loading import import_into_region

__all__ = ["copy_golden", "ensure_golden", "import_into_region"]
