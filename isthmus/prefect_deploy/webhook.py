"""Where failures are told to: an address that is a secret, because whoever has it can write there.

It is kept by the Prefect server as a block, encrypted there, and printed nowhere.
"""

import os
import stat
import sys
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit
from uuid import UUID

from prefect.blocks.webhook import Webhook
from prefect.client.orchestration import SyncPrefectClient
from prefect.exceptions import ObjectNotFound

from isthmus.errors import Usage
from isthmus.prefect_deploy.changes import Change, make_change

VARIABLE = "ISTHMUS_WEBHOOK_URL"
BLOCK = "isthmus-failures"
HEADERS = {"Content-Type": "application/json"}


@dataclass(frozen=True)
class WebhookAddress:
    """The address of a webhook."""

    url: str = field(repr=False)


def read(file: str | None) -> WebhookAddress | None:
    """Return the webhook that a file, `-` for standard input, or the variable names, if any.

    Raises Usage, without a word of what was read, if that is no address or others can read it.
    """
    if file is None:
        return _hook(os.environ[VARIABLE], VARIABLE) if os.environ.get(VARIABLE) else None
    if file == "-":
        return _hook(sys.stdin.read(), "standard input")
    return _hook(_private(Path(file).expanduser()), file)


def ensure(
    client: SyncPrefectClient, hook: WebhookAddress | None
) -> tuple[UUID | None, Change | None]:
    """Make the server keep the webhook; without one, what it keeps stays. Return its identity."""
    try:
        found = client.read_block_document_by_name(BLOCK, Webhook.get_block_type_slug())
    except ObjectNotFound:
        if hook is None:
            return None, None
        made = _save(hook)
        return made, make_change("webhook", BLOCK, made, [], created=True)
    kept = found.data.get("url")
    changed = ["url"] if hook and hook.url != kept else []
    if hook and changed:
        _save(hook)
    return found.id, make_change("webhook", BLOCK, found.id, changed)


def _save(hook: WebhookAddress) -> UUID:
    # Prefect refuses private addresses where strangers choose them; here whoever runs the server
    # does, and a chat or pager inside the own network is the usual place.
    block = Webhook.model_validate(
        {"url": hook.url, "headers": HEADERS, "allow_private_urls": True}
    )
    return UUID(str(block.save(BLOCK, overwrite=True)))


def _hook(text: str, place: str) -> WebhookAddress:
    url = text.strip()
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if not good or len(url.split()) != 1 or not url.isprintable():
        rule = "must hold one address, beginning with https:// or http://, and nothing else"
        raise Usage(f"webhook: {place}: {rule}")
    return WebhookAddress(url)


def _private(path: Path) -> str:
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "is no text"
        raise Usage(f"webhook: {path}: cannot be read: {reason}") from None
    if mode & 0o077:
        message = f"webhook: {path}: must be readable by its owner only: the address is a secret"
        raise Usage(message, hint=f"chmod 600 {path}")
    return text
