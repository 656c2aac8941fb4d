"""What each replica of istiod says of itself by its debug interface."""

import json
import re
from functools import partial
from typing import Any

from isthmus.adapters import pod_logs
from isthmus.adapters.diff import Manifest, is_ready
from isthmus.adapters.kube import Kube
from isthmus.collectors import questions
from isthmus.diagnosis.fields import seconds
from isthmus.diagnosis.masking import mask
from isthmus.diagnosis.objects import environment_of
from isthmus.diagnosis.snapshot import IstiodSnapshot, Object
from isthmus.environment.namespaces import ISTIO_NAMESPACE
from isthmus.errors import NotReady

CONTAINER = "discovery"
REQUEST = ("pilot-discovery", "request", "GET")
"""A command that every istiod has, distroless ones included (istio pilot/cmd/pilot-discovery)."""
DEBUG = {
    "clusterz": "/debug/clusterz",
    "endpointShardz": "/debug/endpointShardz",
    "networkz": "/debug/networkz",
    "syncz": "/debug/syncz",
    "mesh": "/debug/mesh",
}
LOG_LINES = 2000
LOG_KEPT = 50
LOG_SIGNS = ("error", "warn", "fail", "Multi root is disabled", "claims to be in cluster")


def collect(client: Kube, services: frozenset[str]) -> list[IstiodSnapshot]:
    """Return what every pod of istiod says; of services, those that are looked at alone."""
    pods = client.objects("Pod", ISTIO_NAMESPACE, labels="app=istiod")
    return questions.in_parallel(partial(_replica, client, services), pods, 4)


def _replica(client: Kube, services: frozenset[str], pod: Manifest) -> IstiodSnapshot:
    name = pod["metadata"]["name"]
    known = {
        "pod": name,
        "ready": is_ready(pod),
        "started_at": _started(pod),
        "env": environment_of(mask(pod), CONTAINER),
    }
    if not pod.get("status", {}).get("containerStatuses"):
        return IstiodSnapshot(**known)
    asked = {what: partial(_debug, client, name, path) for what, path in DEBUG.items()}
    asked |= {"version": partial(_version, client, name), "log": partial(_log, client, name)}
    found, errors = questions.ask(asked, 3)
    return IstiodSnapshot(
        **known,
        version=found.get("version") or "",
        clusters=_list(found.get("clusterz")),
        endpoint_shards=_shards(found.get("endpointShardz"), services),
        networks=_networks(found.get("networkz")),
        proxies=_list(found.get("syncz")),
        mesh=found.get("mesh") if isinstance(found.get("mesh"), dict) else None,
        log=tuple(found.get("log") or ()),
        errors=errors,
    )


def _debug(client: Kube, pod: str, path: str) -> Any:
    printed = client.execute(pod, ISTIO_NAMESPACE, CONTAINER, [*REQUEST, path])
    text = printed.out.strip()
    if printed.code:
        raise NotReady(f"{pod}: {path}: {printed.err.strip()[:200] or text[:200]}")
    try:
        return json.loads(text[_begin(text) :])
    except ValueError:
        raise NotReady(f"{pod}: {path}: no JSON: {text[:120]}") from None


def _begin(text: str) -> int:
    """Return where the document begins: a warning may stand before it."""
    return min((text.find(sign) for sign in "[{" if sign in text), default=0)


def _version(client: Kube, pod: str) -> str:
    printed = client.execute(pod, ISTIO_NAMESPACE, CONTAINER, ["pilot-discovery", "version", "-s"])
    return version_of(printed.out)


def version_of(text: str) -> str:
    """Return the version in what a program says, nothing if it was built without one."""
    found = re.search(r"\d+\.\d+(?:\.\d+)?", text)
    return found[0] if found else ""


def _log(client: Kube, pod: str) -> list[str]:
    lines = pod_logs.tail(client, pod, ISTIO_NAMESPACE, CONTAINER, LOG_LINES)
    told = [line[:400] for line in lines if any(sign in line for sign in LOG_SIGNS)]
    return told[-LOG_KEPT:]


def _started(pod: Manifest) -> float | None:
    for status in pod.get("status", {}).get("containerStatuses") or []:
        if status.get("name") == CONTAINER and (running := status.get("state", {}).get("running")):
            return seconds(running.get("startedAt"))
    return None


def _list(found: Any) -> list[Object] | None:
    return [o for o in found if isinstance(o, dict)] if isinstance(found, list) else None


def _networks(found: Any) -> list[Object] | None:
    if isinstance(found, dict):
        return [{"network": name, "gateways": ways} for name, ways in found.items()]
    return _list(found)


def _shards(found: Any, services: frozenset[str]) -> Object | None:
    if not isinstance(found, dict):
        return None
    return {name: shards for name, shards in found.items() if name in services}
