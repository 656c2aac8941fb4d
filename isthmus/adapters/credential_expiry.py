"""When a kubeconfig's own credentials end, as they say themselves; nothing of them is shown."""

import base64
import binascii
import json
from datetime import UTC, datetime

from cryptography import x509
from kubernetes.client import Configuration


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
