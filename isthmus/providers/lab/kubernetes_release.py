"""What a stack runs in the lab: the toolchain's programs, or Kubernetes of the stack's version."""

import os
from dataclasses import replace
from pathlib import Path

from isthmus import releases
from isthmus.providers.lab.toolchain import compiling
from isthmus.providers.lab.tools import Toolchain, ensure_toolchain
from isthmus.stacks import Stack, load

TOOLS = "ISTHMUS_TOOLS"
"""Names a folder of programs; Kubernetes' own are taken from it if they all are there."""
SERVER = "kubernetes-server"
"""The release file with Kubernetes' own programs."""
PROGRAMS = (
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kube-proxy",
    "kubelet",
)


def ensure(stack: str) -> Toolchain:
    """Make the lab's programs exist, Kubernetes in the version that the stack is tested with.

    Raises Unprepared, with the file's name and where it was looked for, if that is not to be had.
    """
    wanted = load(stack)
    found = ensure_toolchain()
    if is_compiled(wanted):
        return found
    minor = int(wanted.versions.kubernetes.split(".")[1])
    return replace(found, kubernetes=_given() or releases.ensure(wanted, SERVER), minor=minor)


def check(stack: str) -> None:
    """Raise Unprepared if Kubernetes of the stack's version is not to be had; it is fetched."""
    if not is_compiled(load(stack)) and not _given():
        releases.ensure(load(stack), SERVER)


def is_compiled(stack: Stack) -> bool:
    """Tell whether the lab's toolchain has the Kubernetes that the stack is tested with."""
    return stack.versions.kubernetes == compiling.KUBERNETES


def _given() -> Path | None:
    folder = Path(os.environ.get(TOOLS, "")).expanduser()
    whole = os.environ.get(TOOLS) and all((folder / name).is_file() for name in PROGRAMS)
    return folder if whole else None
