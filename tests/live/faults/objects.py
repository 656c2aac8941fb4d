"""An API object changed, deleted, made or scaled; kept before that, and put back as it was."""

import copy
import json
import subprocess
from collections.abc import Callable
from typing import Any

from live.faults import ISTIO, Step, note, undoes

from isthmus import polling
from isthmus.errors import NotReady

Object = dict[str, Any]
OF_THE_SERVER = ("resourceVersion", "uid", "managedFields", "creationTimestamp", "generation")
"""Fields of metadata that an API server fills in."""


def run(mesh: Any, cluster: str, *args: str, given: str = "", fail: bool = True) -> str:
    """Return what kubectl prints; raises NotReady with its words if it fails and may not."""
    command = mesh.kubectl_command(cluster, *args)
    done = subprocess.run(command, input=given, text=True, capture_output=True, timeout=120)
    if done.returncode and fail:
        raise NotReady(f"kubectl {' '.join(args)}: {done.stderr.strip()[:400]}", cluster=cluster)
    return done.stdout


def get(mesh: Any, cluster: str, name: str, space: str = ISTIO) -> Object:
    """Return an object by `kind/name`; raises NotReady if there is none."""
    found: Object = json.loads(run(mesh, cluster, "-n", space, "get", name, "-ojson"))
    return found


def change(
    mesh: Any, cluster: str, name: str, how: Callable[[Object], object], space: str = ISTIO
) -> None:
    """Change an object by a function that works on it."""
    kept = get(mesh, cluster, name, space)
    note(mesh, "object", cluster=cluster, object=kept)
    changed = copy.deepcopy(kept)
    how(changed)
    _replace(mesh, cluster, changed)


def delete(mesh: Any, cluster: str, name: str, space: str = ISTIO) -> None:
    """Delete an object."""
    note(mesh, "object", cluster=cluster, object=get(mesh, cluster, name, space))
    run(mesh, cluster, "-n", space, "delete", name, "--timeout=60s")


def keep(mesh: Any, cluster: str, *names: str, space: str = ISTIO) -> None:
    """Have objects put back that something else is about to take away, the last one first."""
    for name in names:
        note(mesh, "object", cluster=cluster, object=get(mesh, cluster, name, space))


def add(mesh: Any, cluster: str, manifest: Object) -> None:
    """Make an object that was not there."""
    note(mesh, "made", cluster=cluster, object=manifest)
    run(mesh, cluster, "create", "-f", "-", given=json.dumps(manifest))


def scale(mesh: Any, cluster: str, name: str, replicas: int, space: str = ISTIO) -> None:
    """Scale a Deployment, and wait until it has just so many pods."""

    def scaled(deployment: Object) -> None:
        deployment["spec"]["replicas"] = replicas

    change(mesh, cluster, f"deployment/{name}", scaled, space)

    def settled() -> bool | None:
        status = get(mesh, cluster, f"deployment/{name}", space).get("status", {})
        return True if status.get("replicas", 0) == replicas else None

    polling.until(settled, f"{name} to have {replicas} pods", timeout=60)


def addresses(mesh: Any, cluster: str, name: str, ingress: list[Object]) -> None:
    """Let a Service's load balancer say these addresses; whoever would revert it must stand."""
    kept = get(mesh, cluster, f"service/{name}")
    was = kept["status"]["loadBalancer"].get("ingress") or []
    note(mesh, "addresses", cluster=cluster, service=name, ingress=was)
    _say_addresses(mesh, cluster, name, ingress)


def _say_addresses(mesh: Any, cluster: str, name: str, ingress: list[Object]) -> None:
    patch = json.dumps({"status": {"loadBalancer": {"ingress": ingress or None}}})
    where = ("-n", ISTIO, "patch", f"service/{name}", "--subresource=status", "--type=merge")
    run(mesh, cluster, *where, "-p", patch)


@undoes("addresses")
def _addresses_again(mesh: Any, step: Step) -> None:
    _say_addresses(mesh, step["cluster"], step["service"], step["ingress"])


@undoes("object")
def _as_it_was(mesh: Any, step: Step) -> None:
    """Make an object what it was, wherever it went; others may put it back at the same time."""

    def as_before() -> bool:
        there = _named(mesh, step["cluster"], step["object"], "get", "--ignore-not-found", "-oname")
        if there.strip():
            _replace(mesh, step["cluster"], step["object"])
        else:
            manifest = json.dumps(written(step["object"]))
            run(mesh, step["cluster"], "create", "-f", "-", given=manifest)
        return True

    polling.until(as_before, "an object to be as it was", timeout=60, interval=0.5)


@undoes("made")
def _not_there(mesh: Any, step: Step) -> None:
    flags = ("--ignore-not-found", "--timeout=60s")
    _named(mesh, step["cluster"], step["object"], "delete", *flags)


@undoes("unfinalized")
def _ends(mesh: Any, step: Step) -> None:
    """Let an object with a finalizer of ours go, and its namespace with it."""
    patch = ("--type=merge", "-p", '{"metadata":{"finalizers":null}}')
    where = ("-n", step["space"], "patch", f"configmap/{step['name']}")
    run(mesh, step["cluster"], *where, *patch, fail=False)
    gone = ("delete", f"configmap/{step['name']}", "--ignore-not-found")
    run(mesh, step["cluster"], "-n", step["space"], *gone, fail=False)


@undoes("ran")
def _run_once_more(mesh: Any, step: Step) -> None:
    run(mesh, step["cluster"], *step["args"])


def _named(mesh: Any, cluster: str, item: Object, verb: str, *flags: str) -> str:
    """Run kubectl on an object by its kind, group and name."""
    group, _, version = item["apiVersion"].rpartition("/")
    kind = f"{item['kind']}.{version}.{group}" if group else item["kind"]
    meta = item["metadata"]
    space = ("-n", meta["namespace"]) if "namespace" in meta else ()
    return run(mesh, cluster, *space, verb, kind, meta["name"], *flags)


def _replace(mesh: Any, cluster: str, item: Object) -> None:
    run(mesh, cluster, "replace", "-f", "-", given=json.dumps(written(item)))


def written(item: Object) -> Object:
    """Return what people write of an object, without what the server adds."""
    made = copy.deepcopy(item)
    made.pop("status", None)
    for field in OF_THE_SERVER:
        made["metadata"].pop(field, None)
    return made
