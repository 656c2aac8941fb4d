"""Which kind clusters are an environment's own: written down before they are made."""

import json
from pathlib import Path

from filelock import FileLock

from isthmus import state
from isthmus.providers.kind import commands

FILE = "kind.json"
CREATING = ""
"""Stands for a cluster whose creation has not ended yet, or never did."""


def full_name(environment: str, cluster: str) -> str:
    """Return the name of a cluster among all kind clusters of this machine."""
    return f"{environment}-{cluster}"


def read(environment: str) -> dict[str, str]:
    """Return the environment's clusters, each with the identity of its node, or CREATING."""
    path = _path(environment)
    found: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}
    return found


def add(environment: str, cluster: str, identity: str) -> None:
    """Write down a cluster; several may be written side by side."""
    path = _path(environment)
    state.ensure_folder(environment)
    with FileLock(path.with_suffix(".lock")):
        state.write_private(path, json.dumps({**read(environment), cluster: identity}))


def remove(environment: str, cluster: str) -> None:
    """Leave no record of one cluster."""
    path = _path(environment)
    with FileLock(path.with_suffix(".lock")):
        rest = {name: identity for name, identity in read(environment).items() if name != cluster}
        state.write_private(path, json.dumps(rest))


def remove_all(environment: str) -> None:
    """Leave no record: none of the environment's clusters exists any more."""
    for path in (_path(environment), _path(environment).with_suffix(".lock")):
        path.unlink(missing_ok=True)


def environments() -> list[str]:
    """Return which environments of this user have kind clusters."""
    return sorted(path.parent.name for path in state.home().glob(f"environments/*/{FILE}"))


def is_foreign(environment: str, cluster: str) -> bool:
    """Tell of a kind cluster that exists under a cluster's name whether somebody else made it."""
    known = read(environment).get(cluster)
    if known in (None, CREATING):
        return known is None
    return known != commands.node(full_name(environment, cluster)).identity


def _path(environment: str) -> Path:
    return state.folder(environment) / FILE
