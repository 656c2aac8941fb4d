"""What a Kubernetes client's failures mean: in our words, and whether trying again can help."""

import base64
import binascii
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from cryptography import x509
from kubernetes.client import Configuration
from kubernetes.client.exceptions import ApiException
from urllib3.exceptions import HTTPError, ProtocolError

from isthmus.adapters import web_proxy
from isthmus.errors import ClusterUnreachable, IsthmusError, NotReady, Rejected
from isthmus.step_results import Access

OBJECTS = ("/api", "/version", "/openapi")
"""Paths at which an API server answers in JSON; at others, as at /readyz, in words."""
LENGTHS = {"content-length", "transfer-encoding"}
"""Headers by which an answer's end is known."""

ENDING = "because it is being terminated"
"""What is said of a namespace that takes nothing new and will be gone in a while."""
RETRYABLE = {0, 408, 409, 429, 500, 502, 503, 504}
"""Statuses with which the same request may succeed later; 0 is no answer at all."""


class Expired(Rejected):
    """A server has forgotten what a list was to go on with (HTTP 410)."""


@contextmanager
def translate_errors(access: Access, doing: str, *, applies: bool = False) -> Iterator[None]:
    """Raise failures in the block as ours, with the cluster and what was tried.

    What `applies` makes an object that is not there: only the place for it can be missing.
    """
    cluster = access.cluster
    try:
        yield
    except ApiException as error:
        status = error.status or 0
        kind: type[IsthmusError] = ClusterUnreachable if status in RETRYABLE else Rejected
        if status == 403 and ENDING in _message(error):
            kind = NotReady
        if status == 404 and applies:
            kind = NotReady  # its namespace, or its kind, was deleted and is being made anew
        if status == 410:
            kind = Expired
        # Of a Secret whose content it finds wrong, the server repeats the content.
        said = "" if status in (400, 422) and "secrets/" in doing else _message(error)
        text = f"cannot {doing}: HTTP {status} {error.reason}: {said}"
        raise _asking_to_wait(kind(text, cluster=cluster), error) from None
    except (HTTPError, OSError) as error:
        text = f"cannot {doing}: {error}{web_proxy.describe_proxy(str(error))}"
        raise ClusterUnreachable(text, cluster=cluster) from None


def _asking_to_wait(raised: IsthmusError, error: ApiException) -> IsthmusError:
    """Return the error with the seconds that the server wants to be left alone, if it named any."""
    headers = {name.lower(): value for name, value in (error.headers or {}).items()}
    said = headers.get("retry-after", "")
    if (
        isinstance(raised, ClusterUnreachable) and said.isdecimal()
    ):  # it may be a date: none sends one
        raised.retry_after = float(said)
    return raised


def _message(error: ApiException) -> str:
    try:
        text = str(json.loads(error.body or "{}").get("message", ""))
    except ValueError:
        text = str(error.body)
    return text[:500]


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


def describe_expired(configuration: Configuration) -> str:
    """Return when the certificate or the token ended, for the end of a message, or nothing."""
    ends = {"certificate": _of_certificate(configuration), "token": _of_token(configuration)}
    now = datetime.now(UTC)
    past = [f" (the {what} expired on {end:%Y-%m-%d at %H:%M} UTC)" for what, end in ends.items()
            if end and end < now]  # fmt: skip
    return "".join(past)


def _of_certificate(configuration: Configuration) -> datetime | None:
    try:
        content = getattr(configuration, "certificate", b"")  # see kube_client: its file is gone
        return x509.load_pem_x509_certificate(content).not_valid_after_utc
    except ValueError:
        return None


def _of_token(configuration: Configuration) -> datetime | None:
    """Return the time in a token that is a JWT; one that is not says nothing."""
    token = str(configuration.api_key.get("BearerToken") or "")
    try:
        _, claims, _ = token.removeprefix("Bearer ").split(".")
        padded = claims + "=" * (-len(claims) % 4)
        return datetime.fromtimestamp(json.loads(base64.urlsafe_b64decode(padded))["exp"], UTC)
    except (ValueError, KeyError, TypeError, OverflowError, binascii.Error):
        return None
