"""Bare regions, as an administrator would have made them, handed over by kubeconfig alone."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from live.files import write

from isthmus import polling
from isthmus.providers.lab import defaults

PASSING = {"events", "leases", "endpoints", "endpointslices", "replicasets", "pods"}
"""Kinds whose objects come and go by themselves."""


@contextmanager
def regions(isthmus, folder: Path, name: str, clusters: list[str]) -> Iterator[dict[str, Path]]:
    """Make them, settled; give the kubeconfig of each."""
    host, *remotes = clusters
    content = {"host": {"name": host}, "remotes": [{"name": remote} for remote in remotes]}
    file = write(folder / f"{name}.yaml", name=name, **content)
    begin = (
        "from pathlib import Path; from isthmus import environment_store, providers\n"
        "from isthmus.environment import load\n"
        f"e = load(Path({str(file)!r}))\n"
    )
    ensure = "[providers.get_provider(e).ensure(e, c) for c in e.clusters]\n"
    try:
        run_python(isthmus, begin + "environment_store.save(e)\n" + ensure)
        made = isthmus.home / "environments" / name / "regions"
        paths = {cluster: made / cluster / "kubeconfig" for cluster in clusters}
        for cluster in clusters:
            polling.until(
                lambda cluster=cluster: settled(paths, cluster), f"{cluster} to settle", timeout=60
            )
        yield paths
    finally:
        run_python(
            isthmus,
            begin + "providers.get_provider(e).delete(e); environment_store.delete(e.name)\n",
        )


def environment_of(path: Path, name: str, clusters: dict[str, Path], federation: str) -> Path:
    """Write the file of an environment of such regions; the first is the host."""
    host, *remotes = [
        {
            "name": cluster,
            "network": f"network{number}",
            "kubeconfig": str(kubeconfig),
            "context": cluster,
        }
        for number, (cluster, kubeconfig) in enumerate(clusters.items(), 1)
    ]
    lab = defaults.DEFAULTS
    return write(
        path,
        name=name,
        provider="kubeconfig",
        federation=federation,
        host=host,
        remotes=remotes,
        images=lab.images.model_dump(exclude_none=True),
        resources=lab.resources.model_dump(exclude_none=True),
        overlays={"host": lab.host_overlay, "remote": lab.remote_overlay},
    )


def run_python(isthmus, script: str) -> None:
    subprocess.run([sys.executable, "-c", script], env=isthmus.env, check=True)


def settled(clusters: dict[str, Path], name: str) -> bool | None:
    """Wait for what a new cluster makes by itself in each of its four namespaces."""
    found = everything({name: clusters[name]})[name]
    own = [o for o in found if "/kube-root-ca.crt" in o or o.startswith("ServiceAccount ")]
    own = [o for o in own if o.endswith(("/kube-root-ca.crt", "/default"))]
    return True if len(own) == 8 else None


def client(name: str, kubeconfig: Path):
    from isthmus.adapters.kube import Kube
    from isthmus.step_results import Access

    return Kube(Access(cluster=name, kubeconfig=kubeconfig, context=name))


def everything(clusters: dict[str, Path]) -> dict[str, set[str]]:
    """Name every lasting object of every cluster."""
    found = {}
    for name, kubeconfig in clusters.items():
        cluster = client(name, kubeconfig)
        kinds = [k for k in cluster.kinds.deletable_kinds() if k[2] not in PASSING]
        found[name] = {
            f"{kind} {o['metadata'].get('namespace', '')}/{o['metadata']['name']}"
            for api, kind, _ in kinds
            for o in cluster.objects(kind, api=api)
        }
    return found


@contextmanager
def handed_namespaces(clusters: dict[str, Path], environment: str):
    """Hand namespaces over; give a function that returns what each bears: labels, annotations.

    Each has a label, an annotation and a ConfigMap of the team's, and a quota as such teams set it.
    """
    reached = [client(*cluster) for cluster in clusters.items()]
    path, spaces = "/api/v1/namespaces", ("istio-system", "sample")

    def bears() -> list[dict[str, str]]:
        found = [c.get("Namespace", space)["metadata"] for c in reached for space in spaces]
        return [{**m.get("labels", {}), **m.get("annotations", {})} for m in found]

    try:
        for each in reached:
            for space in spaces:
                meta = {"name": space, "labels": {"team": "platform"}, "annotations": {"cost": "7"}}
                each.request("POST", path, {"metadata": meta}, "application/json")
                own = {"metadata": {"name": "theirs"}, "data": {"key": "value"}}
                each.request("POST", f"{path}/{space}/configmaps", own, "application/json")
                quota = {"metadata": {"name": "theirs"}, "spec": {"hard": {"pods": "20"}}}
                each.request("POST", f"{path}/{space}/resourcequotas", quota, "application/json")
                labels = {"isthmus/environment": environment, "isthmus/keep": "true"}
                each.merge_patch("Namespace", space, {"metadata": {"labels": labels}})
        for each, space in [(each, space) for each in reached for space in spaces]:
            roots = partial(each.get, "ConfigMap", "kube-root-ca.crt", space)
            polling.until(roots, "what a cluster puts into it", timeout=60)
        yield bears
    finally:
        for each in reached:
            for space in spaces:
                each.request("DELETE", f"{path}/{space}")
            await_end(each, *spaces)


def await_end(cluster, *spaces: str) -> None:
    """Wait until namespaces that were deleted are gone: the next test counts what is there."""

    def gone() -> bool | None:
        return None if any(cluster.get("Namespace", space) for space in spaces) else True

    polling.until(gone, "the end of namespaces", timeout=120)
