"""Images: which ones an environment runs, under which names, and which archives hold them."""

from isthmus.images.archives import Archive, find
from isthmus.images.choice import chosen, needed
from isthmus.images.names import below, whole

__all__ = ["Archive", "below", "chosen", "find", "needed", "whole"]
