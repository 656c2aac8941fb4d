"""Helm: a chart's release in a cluster, written only when chart or values changed."""

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

from isthmus.adapters import probing, shell, surroundings
from isthmus.adapters.kube import Kube
from isthmus.errors import NotReady, Rejected
from isthmus.facts import Access

LABEL = "isthmus-values"
"""Label of a release (helm >= 3.13, `--labels`) with the hash of its chart and values."""

BESIDE = ("release: already exists", "another operation (install/upgrade/rollback) is in progress")
"""What Helm says if another one, which may have outlived its killed run, came first."""


def upgrade(name: str, namespace: str, chart: str) -> list[str]:
    """Return Helm's arguments that make a release stand, whatever there is; values on stdin."""
    release = ["upgrade", "--install", name, chart, f"--namespace={namespace}"]
    return [*release, "--no-hooks", "--values=-"]


def installed(client: Kube, name: str, namespace: str, chart: Path, values: Any) -> bool:
    """Tell whether the release stands as this chart and these values would make it."""
    wanted = f"owner=helm,name={name},status=deployed,{LABEL}={_hash(chart, values)}"
    return bool(client.objects("Secret", namespace, labels=wanted))


def unlock(client: Kube, name: str, namespace: str) -> None:
    """Leave no record of an operation that died half-way: Helm would wait for its end for ever."""
    for release in client.objects("Secret", namespace, labels=f"owner=helm,name={name}"):
        if release["metadata"]["labels"].get("status", "").startswith("pending-"):
            client.delete(release)


def install(
    program: Path, access: Access, name: str, namespace: str, chart: Path, values: Any
) -> None:
    """Make the release stand; hooks are left out and nothing is waited for.

    Raises NotReady if the Helm of a run that was killed is still at it, ClusterUnreachable if what
    the API server answered may pass.
    """
    flags = [f"--labels={LABEL}={_hash(chart, values)}", f"--post-renderer={sys.executable}"]
    flags += [f"--post-renderer-args={part}" for part in ("-P", "-m", probing.__name__)]
    command = [program, *upgrade(name, namespace, str(chart)), *_where(access), *flags]
    try:
        shell.ask(
            command,
            stdin=json.dumps(values),
            env=surroundings.for_cluster(access.kubeconfig),
            cluster=access.cluster,
            step=f"install {name}",
        )
    except Rejected as error:
        if not any(sign in error.message for sign in BESIDE):
            raise
        text = f"another Helm is at work on release {name}"
        raise NotReady(text, cluster=access.cluster) from error


def uninstall(program: Path, access: Access, name: str, namespace: str) -> None:
    """Leave no release of that name."""
    flags = [f"--namespace={namespace}", "--no-hooks", "--ignore-not-found"]
    command = [program, "uninstall", name, *_where(access), *flags]
    env = surroundings.for_cluster(access.kubeconfig)
    shell.ask(command, env=env, cluster=access.cluster, step=f"uninstall {name}")


def _where(access: Access) -> list[str]:
    return [f"--kubeconfig={access.kubeconfig}", f"--kube-context={access.context}"]


def _hash(chart: Path, values: Any) -> str:
    version = (chart / "Chart.yaml").read_text()
    seed = f"{version}{json.dumps(values, sort_keys=True)}"
    return hashlib.sha256(seed.encode()).hexdigest()[:16]
