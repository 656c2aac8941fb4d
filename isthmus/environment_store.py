"""Environments built here: a copy of each, so that its name is enough, also after a crash.

A cluster that the file has no longer is kept apart until it was let go, whatever happens meanwhile.
"""

import json
import shutil
import time
from pathlib import Path
from typing import Any

from isthmus import state
from isthmus.environment import ClusterSpec, Environment, dumps, load
from isthmus.errors import BadEnvironment


def check_immutable_fields(environment: Environment) -> None:
    """Raise BadEnvironment if what was built cannot become this environment.

    No step can give a mesh that runs another provider, host or network: every remote looks to the
    host's istiod by its address, and a network is in every proxy.
    """
    if before := _load_stored(environment.name):
        _check_place(before, environment)
        _check_networks(environment)


def save(environment: Environment) -> None:
    """Keep a copy, and apart from it each cluster that left; only the run whose turn it is may.

    Raises BadEnvironment as `check_immutable_fields` does.
    """
    check_immutable_fields(environment)
    for cluster in removed_clusters(environment):
        state.write_private(
            removal_record_path(environment.name, cluster.name), cluster.model_dump_json()
        )
    for cluster in environment.clusters:
        delete_removal_record(environment.name, cluster.name)  # it was to leave, and came back
    _teardown_marker(environment.name).unlink(missing_ok=True)
    state.write_private(state.stored_environment_path(environment.name), dumps(environment))


def removed_clusters(environment: Environment) -> list[ClusterSpec]:
    """Return the clusters that builds of this name have had, and that it has no longer."""
    kept = {cluster.name for cluster in environment.clusters}
    return [c for c in _all_clusters(environment.name) if c.name not in kept]


def removal_record_path(name: str, cluster: str) -> Path:
    """Return where a cluster of an environment is kept that is to leave."""
    return state.folder(name) / "leaving" / f"{cluster}.json"


def delete_removal_record(name: str, cluster: str) -> None:
    """Leave no record of a cluster that has left."""
    removal_record_path(name, cluster).unlink(missing_ok=True)


def record_proof(name: str, verdict: str, requests: int, first: str) -> None:
    """Keep what traffic last told of an environment, if it has a folder here."""
    if state.folder(name).is_dir():
        told = {"at": time.time(), "verdict": verdict, "requests": requests, "first": first}
        state.write_private(_proof(name), json.dumps(told))


def last_proof(name: str) -> dict[str, Any] | None:
    """Return what traffic last told: at (seconds since the epoch), verdict, requests, first.

    `first` is the first line of the first finding. None if nothing was proven here.
    """
    try:
        found = json.loads(_proof(name).read_text())
        return found if isinstance(found, dict) and "at" in found else None
    except (OSError, ValueError):
        return None


def _proof(name: str) -> Path:
    return state.folder(name) / "proof.json"


def delete(name: str) -> None:
    """Leave nothing of an environment in the state folder but the word that it is gone."""
    state.write_private(_teardown_marker(name), "")
    shutil.rmtree(state.folder(name), ignore_errors=True)


def is_torn_down(name: str) -> bool:
    """Tell whether an environment was taken down to its end, and none was built since.

    One whose folder was lost is not known either, and may well be there.
    """
    return _teardown_marker(name).exists() and not state.folder(name).exists()


def _teardown_marker(name: str) -> Path:
    return state.home() / "locks" / f"{name}.gone"


def _load_stored(name: str) -> Environment | None:
    try:
        return load(state.stored_environment_path(name))
    except BadEnvironment:
        return None  # there is none, or it is of a version that we no longer understand


def _all_clusters(name: str) -> list[ClusterSpec]:
    """Return the clusters of the copy and those that are to leave, each once."""
    before = _load_stored(name)
    records = sorted((state.folder(name) / "leaving").glob("*.json"))
    leaving = [ClusterSpec.model_validate_json(record.read_text()) for record in records]
    known = {c.name: c for c in [*leaving, *(before.clusters if before else ())]}
    return list(known.values())


def _check_place(before: Environment, now: Environment) -> None:
    if before.provider != now.provider:
        lost = ", ".join(cluster.name for cluster in before.clusters)
        text = f"was built with provider {before.provider}, and would no longer manage {lost}"
        raise BadEnvironment(f"{before.name} {text}", hint=_rebuild_hint(before.name))
    if before.host.name != now.host.name:
        text = f"was built with the host {before.host.name}; the host of a built mesh is immutable"
        found = f"{before.name} {text} (this file: {now.host.name})"
        raise BadEnvironment(found, hint=_rebuild_hint(before.name))


def _check_networks(now: Environment) -> None:
    networks = {cluster.name: cluster.network for cluster in _all_clusters(now.name)}
    for cluster in now.clusters:
        if (was := networks.get(cluster.name, cluster.network)) != cluster.network:
            raise BadEnvironment(
                f"was built in network {was}, and this file puts it in {cluster.network}; "
                "a cluster's network is immutable (one left out is named by its position)",
                cluster=cluster.name,
                hint=f"write `network: {was}` for {cluster.name} in the file, or "
                f"{_rebuild_hint(now.name)}",
            )


def _rebuild_hint(name: str) -> str:
    return f"take it down first (isthmus down {name}), or give this one another name"
