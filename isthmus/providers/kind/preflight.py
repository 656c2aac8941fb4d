"""Whether this machine can have the environment's kind clusters, told before a change."""

import re
import shutil
import sys

from isthmus.environment import Environment
from isthmus.errors import Rejected, Unprepared
from isthmus.providers.kind import cloud_provider, commands, records
from isthmus.stacks import load

DESKTOP = "Docker Desktop"
"""It runs containers in a virtual machine, whose addresses this machine does not reach."""
NODE_IMAGE_VERSIONS = {"1.36": "1.36.4"}
"""Patch versions of which there is a node image, where the stack's has none: kind 0.33's notes."""
VERSION = re.compile(r":v?(\d+\.\d+[^:]*)$")

MissingPrerequisite = tuple[str, str]
"""What is missing, and what a person does about it."""


def node_image(environment: Environment) -> str:
    """Return the image of every node: the environment's, else that of the stack's Kubernetes."""
    version = load(environment.stack).versions.kubernetes
    minor = version.rpartition(".")[0]
    return environment.kind.image or f"kindest/node:v{NODE_IMAGE_VERSIONS.get(minor, version)}"


def check_machine(environment: Environment) -> None:
    """Raise Unprepared with everything that is missing here, each with what to do about it."""
    lacks = [*_version(environment), *_programs()]
    # Whose clusters there are can only be asked of programs that are there.
    lacks += [] if lacks else [*_addresses(), *_clashes(environment)]
    if lacks:
        raise Unprepared(
            f"this machine cannot have {environment.name}'s kind clusters yet; nothing was "
            "changed:\n" + "\n".join(f"- {what}\n    {do}" for what, do in lacks),
            hint=f"then again: isthmus up {environment.name}",
        )


def _programs() -> list[MissingPrerequisite]:
    if sys.platform != "linux":
        return [("not Linux: nodes cannot be reached by their addresses", "use a Linux machine")]
    lacks = []
    if not shutil.which("kind"):
        lacks.append(("no kind on PATH", "go install sigs.k8s.io/kind@latest, or as a package"))
    if not shutil.which("docker"):
        return [*lacks, ("no docker on PATH", "install Docker Engine")]
    return [*lacks, *_engine()]


def _engine() -> list[MissingPrerequisite]:
    try:
        system = commands.docker_host_os()
    except Rejected as error:
        if "permission denied" in error.message:
            return [("you may not use Docker", "sudo usermod -aG docker $USER, and log in again")]
        return [(f"Docker does not answer: {error.message}", "sudo systemctl start docker")]
    if system == DESKTOP:
        return [(f"{DESKTOP}: this machine cannot reach its nodes", "use Docker Engine on Linux")]
    return []


def _addresses() -> list[MissingPrerequisite]:
    lack = cloud_provider.unavailable_reason()
    return [(lack, cloud_provider.INSTALL)] if lack else []


def _clashes(environment: Environment) -> list[MissingPrerequisite]:
    there = commands.clusters()
    names = {c.name: records.full_name(environment.name, c.name) for c in environment.clusters}
    return [
        clash(name)
        for cluster, name in names.items()
        if name in there and records.is_foreign(environment.name, cluster)
    ]


def clash(name: str) -> MissingPrerequisite:
    """Return what is wrong with a kind cluster that somebody else made under our name."""
    what = f"kind cluster {name} exists, and this environment did not create it"
    return what, f"give the environment another name, or: kind delete cluster --name {name}"


def _version(environment: Environment) -> list[MissingPrerequisite]:
    stack, image = load(environment.stack), node_image(environment)
    found = VERSION.search(image)
    if not found or stack.kubernetes.holds(found[1]):
        return []
    window = f"{stack.kubernetes.min} to {stack.kubernetes.max}"
    what = f"node image {image}: stack {stack.name} is for Kubernetes {window}"
    return [(what, "name another in the file: `kind: {image: ...}`")]
