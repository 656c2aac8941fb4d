"""Checksums that somebody accepted where nobody published one: a small file in the cache."""

import json
from pathlib import Path

from filelock import FileLock
from pydantic import TypeAdapter, ValidationError

from isthmus import state
from isthmus.errors import Unprepared
from isthmus.stacks.releases import Checksum

KNOWN = TypeAdapter(dict[str, Checksum])


def path() -> Path:
    """Return the file (0600): a JSON object, from a release file's place to its checksum."""
    return state.cache() / "releases" / "accepted.json"


def get_checksum(place: str) -> str | None:
    """Return the checksum that was accepted for a release file, if one was."""
    return load_checksums().get(place)


def remember(place: str, checksum: str) -> None:
    """Accept a checksum; from now on nothing else is taken for that file."""
    path().parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path().with_suffix(".lock")):
        state.write_private(
            path(), json.dumps({**load_checksums(), place: checksum}, indent=2, sort_keys=True)
        )


def load_checksums() -> dict[str, str]:
    """Return all that was accepted, by place; raises Unprepared if the file was damaged."""
    if not path().exists():
        return {}
    try:
        return KNOWN.validate_json(path().read_bytes())
    except ValidationError as error:
        raise Unprepared(
            f"{path()} is not a valid list of accepted checksums",
            hint=f"correct it, or start over: rm {path()}",
        ) from error
