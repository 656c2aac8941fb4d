"""KubeFed's own command line: joining a cluster to a federation and taking it out again."""

import re
from pathlib import Path
from typing import Literal

from isthmus.adapters import shell, surroundings
from isthmus.errors import ClusterUnreachable, NotReady, Rejected

NAMESPACE = "kube-federation-system"
TIMEOUT = 60.0
Verb = Literal["join", "unjoin"]
FLAGS: dict[Verb, str] = {"join": "--error-on-existing=false", "unjoin": "--force"}
"""What lets each verb be run again."""
PASSING = re.compile(r"failed calling webhook .*kubefed\.io|no endpoints available", re.DOTALL)
"""What is said in the moment between a ready webhook and the routes to it."""


def join(program: Path, kubeconfig: Path, host: str, member: str, name: str) -> None:
    """Make `member` a cluster of the federation in `host`; both are contexts of `kubeconfig`.

    The federation knows it as `name`. A KubeFedCluster that exists already is written anew.
    """
    _run(program, kubeconfig, member, arguments("join", name, host, member))


def unjoin(program: Path, kubeconfig: Path, host: str, member: str, name: str) -> None:
    """Leave nothing of the membership, in the host or in the member; a dead member is let go."""
    _run(program, kubeconfig, member, arguments("unjoin", name, host, member))


def arguments(verb: Verb, name: str, host: str, member: str) -> list[str]:
    """Return kubefedctl's arguments; `host` and `member` are contexts."""
    contexts = [f"--host-cluster-context={host}", f"--cluster-context={member}"]
    return [verb, name, *contexts, FLAGS[verb]]


def _run(program: Path, kubeconfig: Path, member: str, words: list[str]) -> None:
    verb, command = words[0], [program, *words, f"--kubeconfig={kubeconfig}", "--v=0"]
    try:
        env = surroundings.for_cluster(kubeconfig)
        shell.ask(command, env=env, timeout=TIMEOUT, cluster=member, step=verb)
    except (Rejected, ClusterUnreachable) as error:
        if PASSING.search(error.message):
            raise NotReady(error.message, cluster=member, step=verb) from None
        raise
