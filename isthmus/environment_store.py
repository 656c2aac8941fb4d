"""Environments built here: a copy of each, so that its name is enough, also after a crash.

A cluster that the file has no longer is kept apart until it was let go, whatever happens meanwhile.
"""

import shutil
from pathlib import Path

from isthmus import state
from isthmus.environment import ClusterSpec, Environment, dumps, load
from isthmus.errors import BadEnvironment


def check(environment: Environment) -> None:
    """Raise BadEnvironment if what was built cannot become this environment.

    No step can give a mesh that runs another provider, host or network: every remote looks to the
    host's istiod by its address, and a network is in every proxy.
    """
    if before := _before(environment.name):
        _check_place(before, environment)
        _check_networks(environment)


def remember(environment: Environment) -> None:
    """Keep a copy, and apart from it each cluster that left; only the run whose turn it is may.

    Raises BadEnvironment as `check` does.
    """
    check(environment)
    for cluster in leavers(environment):
        state.private(record_of(environment.name, cluster.name), cluster.model_dump_json())
    for cluster in environment.clusters:
        let_go(environment.name, cluster.name)  # it was to leave, and came back
    _end(environment.name).unlink(missing_ok=True)
    state.private(state.stored(environment.name), dumps(environment))


def leavers(environment: Environment) -> list[ClusterSpec]:
    """Return the clusters that builds of this name have had, and that it has no longer."""
    kept = {cluster.name for cluster in environment.clusters}
    return [c for c in _ever(environment.name) if c.name not in kept]


def record_of(name: str, cluster: str) -> Path:
    """Return where a cluster of an environment is kept that is to leave."""
    return state.folder(name) / "leaving" / f"{cluster}.json"


def let_go(name: str, cluster: str) -> None:
    """Leave no record of a cluster that has left."""
    record_of(name, cluster).unlink(missing_ok=True)


def forget(name: str) -> None:
    """Leave nothing of an environment in the state folder but the word that it is gone."""
    state.private(_end(name), "")
    shutil.rmtree(state.folder(name), ignore_errors=True)


def is_gone(name: str) -> bool:
    """Tell whether an environment was taken down to its end, and none was built since.

    One whose folder was lost is not known either, and may well be there.
    """
    return _end(name).exists() and not state.folder(name).exists()


def _end(name: str) -> Path:
    return state.home() / "locks" / f"{name}.gone"


def _before(name: str) -> Environment | None:
    try:
        return load(state.stored(name))
    except BadEnvironment:
        return None  # there is none, or it is of a version that we no longer understand


def _ever(name: str) -> list[ClusterSpec]:
    """Return the clusters of the copy and those that are to leave, each once."""
    before = _before(name)
    records = sorted((state.folder(name) / "leaving").glob("*.json"))
    leaving = [ClusterSpec.model_validate_json(record.read_text()) for record in records]
    known = {c.name: c for c in [*leaving, *(before.clusters if before else ())]}
    return list(known.values())


def _check_place(before: Environment, now: Environment) -> None:
    if before.provider != now.provider:
        lost = ", ".join(cluster.name for cluster in before.clusters)
        text = f"was built with provider {before.provider}, and would lose sight of {lost}"
        raise BadEnvironment(f"{before.name} {text}", hint=_anew(before.name))
    if before.host.name != now.host.name:
        text = f"was built with the host {before.host.name}; a mesh that runs keeps its host"
        found = f"{before.name} {text} (this file: {now.host.name})"
        raise BadEnvironment(found, hint=_anew(before.name))


def _check_networks(now: Environment) -> None:
    networks = {cluster.name: cluster.network for cluster in _ever(now.name)}
    for cluster in now.clusters:
        if (was := networks.get(cluster.name, cluster.network)) != cluster.network:
            raise BadEnvironment(
                f"was built in network {was}, and this file puts it in {cluster.network}; "
                "a cluster keeps its network (one that is left out is named by its place)",
                cluster=cluster.name,
                hint=f"write `network: {was}` for {cluster.name} in the file, or {_anew(now.name)}",
            )


def _anew(name: str) -> str:
    return f"take it down first (isthmus down {name}), or give this one another name"
