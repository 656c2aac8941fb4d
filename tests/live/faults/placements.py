"""What KubeFed puts into one cluster: changed in the federated object, or it would revert it."""

from collections.abc import Callable
from typing import Any

from live.faults import ISTIO, SAMPLE
from live.faults.objects import Object, change


def override(mesh: Any, cluster: str, path: str, value: object) -> None:
    """Let helloworld be otherwise in one cluster; what is not there is added (RFC 6902, add)."""

    def overridden(item: Object) -> None:
        _of(item, cluster).append({"op": "add", "path": path, "value": value})

    change(mesh, "lisbon", "federateddeployment/helloworld", overridden, SAMPLE)


def namespace(mesh: Any, cluster: str, space: str, part: str, changes: dict[str, Any]) -> None:
    """Change a namespace's `labels` or `annotations` in one cluster; None takes one away."""

    def overridden(item: Object) -> None:
        entry = next(e for e in _of(item, cluster) if e["path"] == f"/metadata/{part}")
        merged = {**entry["value"], **changes}
        entry["value"] = {key: value for key, value in merged.items() if value is not None}

    change(mesh, "lisbon", f"federatednamespace/{space}", overridden, space)


def certificates(mesh: Any, cluster: str, data: dict[str, str]) -> None:
    """Give a cluster another Secret `cacerts`."""

    def overridden(item: Object) -> None:
        entry = next(e for e in _of(item, cluster) if e["path"] == "/data")
        entry["value"] = data

    change(mesh, "lisbon", "federatedsecret/cacerts", overridden, ISTIO)


def without(mesh: Any, cluster: str, name: str, space: str) -> None:
    """Have a federated object no longer placed in a cluster."""
    change(mesh, "lisbon", name, _leaves(cluster), space)


def _leaves(cluster: str) -> Callable[[Object], None]:
    def left(item: Object) -> None:
        placed = item["spec"]["placement"]["clusters"]
        item["spec"]["placement"]["clusters"] = [c for c in placed if c["name"] != cluster]

    return left


def _of(item: Object, cluster: str) -> list[Object]:
    """Return a cluster's overrides in a federated object; it has some from now on."""
    every = item["spec"].setdefault("overrides", [])
    for entry in every:
        if entry["clusterName"] == cluster:
            found: list[Object] = entry["clusterOverrides"]
            return found
    every.append({"clusterName": cluster, "clusterOverrides": []})
    made: list[Object] = every[-1]["clusterOverrides"]
    return made
