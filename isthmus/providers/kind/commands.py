"""The programs `kind` and `docker`: what clusters there are, made, looked at, deleted."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from isthmus import polling
from isthmus.adapters import shell, subprocess_env
from isthmus.errors import NotReady, Rejected

API_PORT = 6443
"""The API server's port in its container: kind pkg/cluster/internal/providers/common."""
LOAD_BALANCER_LABEL = "io.x-k8s.cloud-provider-kind.cluster"
"""Label of a load balancer's container: cloud-provider-kind pkg/constants/constants.go."""
DOCKER_VARIABLE_PREFIXES = ("DOCKER_", "HOME", "SSH_AUTH_SOCK", "XDG_RUNTIME_DIR")
"""Beginnings of the variables by which a person's Docker is found."""
STATE = "{{.Id}} {{range .NetworkSettings.Networks}}{{.IPAddress}} {{end}}"


@dataclass(frozen=True)
class KindNode:
    """The container that is a cluster's only node."""

    identity: str
    """What no other container has, not even a later one of its name."""
    address: str
    """Where other containers reach it; empty while it is stopped."""


def kind_environment() -> Mapping[str, str]:
    """Return the variables for programs that would else choose another engine than Docker."""
    return {**docker_environment(), "KIND_EXPERIMENTAL_PROVIDER": "docker"}


def docker_environment() -> dict[str, str]:
    """Return the variables with which Docker is asked: those of the person's that name theirs."""
    # Its home as it is, though nothing may be written there: the logins of registries lie in it.
    named = {k: v for k, v in os.environ.items() if k.startswith(DOCKER_VARIABLE_PREFIXES)}
    return subprocess_env.for_program(**named)


def clusters() -> list[str]:
    """Return the names of all kind clusters on this machine, whoever made them."""
    return _kind("get", "clusters").split()


def create(name: str, image: str, region: str, kubeconfig: Path) -> None:
    """Make a cluster of one node; its kubeconfig goes into this file and into no other."""
    node = {
        "role": "control-plane",
        "image": image,
        "labels": {"topology.kubernetes.io/region": region},
    }
    wanted = {"kind": "Cluster", "apiVersion": "kind.x-k8s.io/v1alpha4", "nodes": [node]}
    flags = ("--name", name, "--kubeconfig", kubeconfig, "--config", "-")
    limit = polling.timeouts().cluster
    try:
        _kind("create", "cluster", *flags, stdin=yaml.safe_dump(wanted), timeout=limit)
    except Rejected as error:
        if "failed to pull image" in error.message:
            error.hint = "name a node image that can be pulled: `kind: {image: ...}` in the file"
        raise


def delete(name: str, kubeconfig: Path) -> None:
    """Leave nothing of a cluster, neither its node nor its part of this kubeconfig."""
    _kind("delete", "cluster", "--name", name, "--kubeconfig", kubeconfig)


def kubeconfig(name: str) -> str:
    """Return the kubeconfig by which this machine reaches a cluster: a secret."""
    return _kind("get", "kubeconfig", "--name", name)


def context(name: str) -> str:
    """Return how kind calls a cluster's context."""
    return f"kind-{name}"


def node(name: str) -> KindNode:
    """Return what a cluster's node is now."""
    identity, *addresses = _docker("inspect", "--format", STATE, _container(name)).split()
    return KindNode(identity, addresses[0] if addresses else "")


def server(name: str) -> str:
    """Return the URL at which other containers reach the cluster's API server.

    By address, because pods cannot resolve containers' names; kubeadm has put it into the server's
    certificate. Raises NotReady if the node is stopped.
    """
    if not (address := node(name).address):
        container = _container(name)
        raise NotReady(f"container {container} is stopped", hint=f"docker start {container}")
    return f"https://{address}:{API_PORT}"


def start(name: str) -> None:
    """Make a cluster's node run, should somebody have stopped it."""
    _docker("start", _container(name))


def load_balancers(cluster: str = "") -> list[str]:
    """Return the containers that are load balancers of a cluster, or of all."""
    wanted = f"label={LOAD_BALANCER_LABEL}={cluster}" if cluster else f"label={LOAD_BALANCER_LABEL}"
    return _docker("ps", "--all", "--filter", wanted, "--format", "{{.Names}}").split()


def remove(containers: list[str]) -> None:
    """Ask for the end of containers; one of them may be gone already."""
    _docker("rm", "--force", "--volumes", *containers)


def docker_host_os() -> str:
    """Return on what Docker runs: `Debian GNU/Linux 13`; raises Rejected if it is silent."""
    return _docker("info", "--format", "{{.OperatingSystem}}").strip()


def _container(name: str) -> str:
    return f"{name}-control-plane"


def _kind(*arguments: object, stdin: str | None = None, timeout: float = 120) -> str:
    return shell.run(["kind", *arguments], stdin=stdin, timeout=timeout, env=kind_environment())


def _docker(*arguments: object) -> str:
    return shell.run(["docker", *arguments], env=docker_environment())
