"""Environments built here: a copy of each, so that its name is enough, also after a crash."""

import shutil

from isthmus import state
from isthmus.environment import Environment, dumps, load
from isthmus.errors import BadEnvironment


def remember(environment: Environment) -> None:
    """Keep a copy; only the run whose turn it is may.

    Raises BadEnvironment if that would lose sight of clusters that an earlier build has made.
    """
    _refuse_to_lose_clusters(environment)
    state.private(state.stored(environment.name), dumps(environment))


def forget(name: str) -> None:
    """Leave nothing of an environment in the state folder."""
    shutil.rmtree(state.folder(name), ignore_errors=True)


def _refuse_to_lose_clusters(environment: Environment) -> None:
    try:
        before = load(state.stored(environment.name))
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
