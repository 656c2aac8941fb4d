"""What a Kubernetes client's failures mean: in our words, and whether trying again can help."""

import json
from collections.abc import Iterator
from contextlib import contextmanager

from kubernetes.client.exceptions import ApiException
from urllib3.exceptions import HTTPError

from isthmus.adapters import web_proxy
from isthmus.errors import ClusterUnreachable, IsthmusError, NotReady, Rejected
from isthmus.step_results import Access

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
