"""One thing to do by hand: the shell's lines for it, and the file that they read."""

import json
import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from isthmus.adapters.diff import ENVIRONMENT_LABEL, Manifest
from isthmus.adapters.kube import FIELD_MANAGER

FILE = "@FILE@"
"""Stands for the entry's file in its commands."""
MASK = "***"
ENDPOINT = "${ISTIOD_REMOTE_EP}"
"""Stands for the address of the host's gateway, which only a running host knows."""
ENVSUBST_COMMAND = f"envsubst '{ENDPOINT}'"
"""Puts the address in its place, and touches no other dollar: templates of Istio's are full."""


@dataclass(frozen=True)
class ManualStep:
    """One thing to do in one cluster."""

    cluster: str
    title: str
    objects: tuple[Manifest, ...] = ()
    """What its file holds, if that is applied: then each bears the environment's label."""
    stdin: Any = None
    """What its file holds, if a program reads that."""
    commands: tuple[str, ...] = ()
    """Lines for a shell, in order; FILE stands for the file's name."""
    file: str = ""
    """What the file is called after its number; by default as the title."""


def apply_step(
    cluster: str, title: str, objects: Iterable[Manifest], *then: str, file: str = ""
) -> ManualStep:
    """Return the entry that applies objects and then waits, or whatever `then` says."""
    given = tuple(objects)
    return ManualStep(cluster, title, given, commands=(_apply(cluster, given), *then), file=file)


def secret_step(cluster: str, title: str, masked: Manifest, *made: str) -> ManualStep:
    """Return the entry of an object with secrets in it: the file shows it, and `made` makes it."""
    return ManualStep(
        cluster, title, (masked,), commands=(f"# {FILE} shows it; this makes it:", *made)
    )


def kubectl(cluster: str, *words: str) -> str:
    """Return a kubectl command, quoted for a shell."""
    return shlex.join(["kubectl", f"--context={cluster}", *words])


def apply(cluster: str, file: str) -> str:
    """Return the command that makes true what a file says, as `isthmus up` does."""
    how = ("--server-side", "--force-conflicts", f"--field-manager={FIELD_MANAGER}")
    return kubectl(cluster, "apply", *how, "-f", file)


def label_command(environment: str) -> str:
    """Return the command that puts the environment's label on the objects that it reads."""
    words = ("label", "--local", "-f", "-", f"{ENVIRONMENT_LABEL}={environment}", "-o", "yaml")
    return shlex.join(["kubectl", *words])


def rollout_status(cluster: str, namespace: str, deployment: str) -> str:
    """Return the command that waits for a Deployment."""
    return kubectl(cluster, "-n", namespace, "rollout", "status", f"deployment/{deployment}")


def until(command: str) -> str:
    """Return the line that tries a command every second until it ends well."""
    return f"until {command}; do sleep 1; done"


def _apply(cluster: str, objects: tuple[Manifest, ...]) -> str:
    if ENDPOINT in json.dumps(objects):
        return f"{ENVSUBST_COMMAND} < {FILE} | {apply(cluster, '-')}"
    return apply(cluster, FILE)
