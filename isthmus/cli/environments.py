"""From what a person types to an environment: a file, or the name of one that was built."""

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from isthmus import state
from isthmus.errors import BadEnvironment, Findings, Usage

if TYPE_CHECKING:
    from isthmus.environment import Environment


def find(text: str) -> "Environment":
    """Return the environment that a file or a known name stands for.

    Raises BadEnvironment for a file that is missing or wrong, Usage for an unknown name.
    """
    from isthmus.environment import load

    if _is_path(text):
        return load(_existing(text))
    if text in state.known():
        return load(stored(text))
    if Path(text).is_file():
        return load(Path(text))
    raise Usage(f"{text}: neither a file nor an environment built here", hint=_known_names())


def stored(name: str) -> Path:
    """Return where the copy of an environment is kept from its first `up` to its `down`."""
    return state.folder(name) / "environment.yaml"


def remember(environment: "Environment") -> None:
    """Keep a copy, so that from now on the name is enough, also after a crash.

    Raises BadEnvironment if that would lose sight of clusters that an earlier `up` has made, Busy
    while another run is at work on the environment.
    """
    from isthmus.environment import dumps

    with state.alone(environment.name):
        _refuse_to_lose_clusters(environment)
        state.private(stored(environment.name), dumps(environment))


def forget(name: str) -> None:
    """Leave nothing of an environment in the state folder."""
    shutil.rmtree(state.folder(name), ignore_errors=True)


def require_built(environment: "Environment", text: str) -> None:
    """Raise Findings if no `up` has been at this environment, which the person called `text`."""
    if not stored(environment.name).exists():
        raise not_built(environment, text)


def not_built(environment: "Environment", text: str) -> Findings:
    """Return the error that says so."""
    return Findings(f"{environment.name}: not built", hint=f"build it: isthmus up {text}")


def _existing(text: str) -> Path:
    path = Path(text).expanduser()
    if not path.exists():
        raise BadEnvironment(f"{text}: no such file", hint=f"write one: isthmus init {text}")
    return path


def _refuse_to_lose_clusters(environment: "Environment") -> None:
    from isthmus.environment import load

    try:
        before = load(stored(environment.name))
    except BadEnvironment:
        return  # there is none, or it is of a version that we no longer understand
    same_provider = before.provider == environment.provider
    kept = {cluster.name for cluster in environment.clusters} if same_provider else set()
    if lost := [cluster.name for cluster in before.clusters if cluster.name not in kept]:
        raise BadEnvironment(
            f"{environment.name} was built with clusters that this file no longer has "
            f"(provider {before.provider}): {', '.join(lost)}",
            hint=f"take it down first (isthmus down {before.name}), or give this one another name",
        )


def _is_path(text: str) -> bool:
    return "/" in text or text.endswith((".yaml", ".yml"))


def _known_names() -> str:
    names = ", ".join(state.known())
    return f"known: {names}" if names else "none is built yet: isthmus init, then isthmus up FILE"
