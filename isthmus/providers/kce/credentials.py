"""The cloud's keys: from two variables, or from a block of Prefect's that the environment names."""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from isthmus.environment import Environment
from isthmus.errors import Unprepared

ACCESS_KEY_VARIABLE, SECRET_KEY_VARIABLE = "KSYUN_ACCESS_KEY", "KSYUN_SECRET_KEY"
"""The variables of the cloud's own tools (terraform-provider-ksyun, ksyun/provider.go)."""
FIELDS = ("access_key", "secret_key")
"""The keys of a block's content."""

BlockReader = Callable[[str], Any]
_block_reader: ContextVar[BlockReader | None] = ContextVar("block reader", default=None)
"""How the content of a block is read; None where nobody can."""


@dataclass(frozen=True, repr=False)
class KceCredentials:
    """What requests are signed with; never shown."""

    access: str
    secret: str

    def redact(self, text: str) -> str:
        """Return the text without the keys: the cloud's answers may repeat them."""
        return text.replace(self.secret, "***").replace(self.access, "***")


@contextmanager
def use_block_reader(read: BlockReader) -> Iterator[None]:
    """Make `read` the way to a block's content in the block of code.

    The library does not know Prefect, its runs do.
    """
    token = _block_reader.set(read)
    try:
        yield
    finally:
        _block_reader.reset(token)


def load_credentials(environment: Environment) -> KceCredentials:
    """Return the keys; raises Unprepared if there are none, without a word of what was found."""
    block = environment.kce.credentials_block
    found = (
        _of_block(block)
        if block
        else (os.environ.get(ACCESS_KEY_VARIABLE), os.environ.get(SECRET_KEY_VARIABLE))
    )
    given = [text.strip() for text in found if isinstance(text, str) and text.strip()]
    if len(given) != len(FIELDS):
        where = (
            f"block {block} with {' and '.join(FIELDS)}"
            if block
            else f"{ACCESS_KEY_VARIABLE} and {SECRET_KEY_VARIABLE}"
        )
        raise Unprepared(
            f"no credentials for Kingsoft Cloud: there is no {where}",
            hint=f"set {ACCESS_KEY_VARIABLE} and {SECRET_KEY_VARIABLE}, or name a Secret block of "
            "Prefect's: kce: {credentials_block: NAME}",
        )
    return KceCredentials(*given)


def _of_block(name: str) -> tuple[Any, Any]:
    read = _block_reader.get()
    content = read(name) if read else None
    if isinstance(content, str):
        try:
            content = json.loads(content)
        except ValueError:
            content = None
    access, secret = (content.get(f) if isinstance(content, dict) else None for f in FIELDS)
    return access, secret
