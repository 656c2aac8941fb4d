"""Images: which ones an environment runs, under which names, and which archives hold them."""

from isthmus.images.archives import Archive, find
from isthmus.images.names import below, whole
from isthmus.images.selection import chosen, needed, of_istio

__all__ = ["Archive", "below", "chosen", "find", "needed", "of_istio", "whole"]
