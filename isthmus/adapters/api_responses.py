"""What an API server answered: whether all of it came, what it is, and what it refuses."""

import json
from collections.abc import Mapping
from typing import Any

from kubernetes.client.exceptions import ApiException
from urllib3.exceptions import ProtocolError

from isthmus.errors import ClusterUnreachable

OBJECTS = ("/api", "/version", "/openapi")
"""Paths at which an API server answers in JSON; at others, as at /readyz, in words."""
LENGTHS = {"content-length", "transfer-encoding"}
"""Headers by which an answer's end is known."""


def read(data: bytes, path: str, cluster: str) -> Any:
    """Return the object, or the words, that came; raises ClusterUnreachable for a web page."""
    if not path.startswith(OBJECTS):
        return data.decode()
    try:
        return json.loads(data)
    except ValueError:
        said = data[:80].decode(errors="replace")
        raise ClusterUnreachable(
            f"not an API server: {path.split('?')[0]} answered {said!r}",
            cluster=cluster,
            hint="is `server` of the kubeconfig an API server? A login page answers so",
        ) from None


def check_whole(headers: Mapping[str, str], data: bytes) -> None:
    """Raise urllib3's ProtocolError if the answer was cut off, amid its head perhaps.

    Python takes a head that ends early for a whole one. One that names no length is then read until
    the connection ends (RFC 9112, 6.3), which it has: the 200 of an object would be an empty text.
    """
    if LENGTHS & {name.lower() for name in headers}:
        return  # urllib3 has counted
    try:
        json.loads(data)
    except ValueError:
        raise ProtocolError(f"the response was truncated after {len(data)} bytes") from None


def refusal(response: Any, data: bytes) -> ApiException:
    """Return what the client raises for an answer of 400 and above."""
    raised = ApiException(
        status=response.status, reason=response.reason, body=data.decode(errors="replace")
    )
    raised.headers = response.headers
    return raised
