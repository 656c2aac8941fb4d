"""Where Isthmus keeps what saves time: one folder an environment, and a cache that all share.

Nothing here is believed without a look at the clusters; losing it costs time and no data, except
for the root CA, without which a new cluster cannot join an old mesh.
"""

import os
import threading
from collections.abc import Callable
from pathlib import Path

import platformdirs

from isthmus.errors import Unprepared


def home() -> Path:
    """Return where environments and the server live: $ISTHMUS_HOME, or the user's data folder."""
    return _folder("ISTHMUS_HOME", platformdirs.user_data_path)


def cache() -> Path:
    """Return the folder of what can be made again: $ISTHMUS_CACHE, or the user's cache folder."""
    return _folder("ISTHMUS_CACHE", platformdirs.user_cache_path)


def folder(environment: str) -> Path:
    """Return an environment's own folder, whether or not it exists."""
    return home() / "environments" / environment


def ensure_folder(environment: str) -> Path:
    """Make the environment's folder exist, for its owner alone."""
    path = folder(environment)
    path.mkdir(parents=True, exist_ok=True, mode=0o700)
    return path


def stored_environment_path(environment: str) -> Path:
    """Return where the copy of an environment is kept from its first build to its teardown."""
    return folder(environment) / "environment.yaml"


def environment_names() -> list[str]:
    """Return the names of the environments that have a folder, sorted."""
    return sorted(p.parent.name for p in home().glob("environments/*/environment.yaml"))


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    part = path.with_name(f"{path.name}.{os.getpid()}.{threading.get_ident()}.part")
    part.unlink(missing_ok=True)
    with os.fdopen(
        os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8"
    ) as file:
        file.write(text)
    part.rename(path)


def _folder(variable: str, default: Callable[[str], Path]) -> Path:
    try:
        return Path(os.environ.get(variable) or default("isthmus")).expanduser().resolve()
    except (RuntimeError, OSError) as error:  # no HOME and no such user; no folder to stand in
        hint = f"name a folder: {variable}=/path/of/a/folder"
        raise Unprepared(f"no usable folder for state or cache: {error}", hint=hint) from None
