"""Blocks of Prefect's that hold secrets, for a library that does not know Prefect."""

from contextlib import AbstractContextManager
from typing import Any, cast

from prefect.blocks.system import Secret

from isthmus.errors import Unprepared
from isthmus.providers.kce import credentials


def read_secret_blocks() -> AbstractContextManager[None]:
    """Let the library read the blocks that an environment names; nothing of them is kept."""
    return credentials.use_block_reader(_content)


def _content(name: str) -> Any:
    try:
        block = cast("Secret[Any]", Secret.load(name))
    except ValueError:
        raise Unprepared(
            f"there is no Secret block {name} on the Prefect server",
            hint="make it in Prefect's pages, Blocks > Secret, with access_key and secret_key",
        ) from None
    return block.get()
