"""KubeFed's own command line: joining a cluster to a federation and taking it out again."""

from pathlib import Path

from isthmus.adapters import shell
from isthmus.errors import NotReady, Rejected

NAMESPACE = "kube-federation-system"
TIMEOUT = 60.0
PASSING = ("failed calling webhook", "connection refused", "no endpoints available")
"""What is said in the moment between a ready webhook and the routes to it."""


def join(program: Path, kubeconfig: Path, host: str, member: str, name: str) -> None:
    """Make `member` a cluster of the federation in `host`; both are contexts of `kubeconfig`.

    The federation knows it as `name`. A KubeFedCluster that exists already is written anew.
    """
    _run([program, "join", name], kubeconfig, host, member, "--error-on-existing=false")


def unjoin(program: Path, kubeconfig: Path, host: str, member: str, name: str) -> None:
    """Leave nothing of the membership, in the host or in the member; a dead member is let go."""
    _run([program, "unjoin", name], kubeconfig, host, member, "--force")


def _run(command: list[Path | str], kubeconfig: Path, host: str, member: str, flag: str) -> None:
    contexts = [f"--host-cluster-context={host}", f"--cluster-context={member}"]
    verb = str(command[1])
    command = [*command, f"--kubeconfig={kubeconfig}", *contexts, flag, "--v=0"]
    try:
        shell.run(command, timeout=TIMEOUT, cluster=member, step=verb)
    except Rejected as error:
        if any(sign in error.message for sign in PASSING):
            raise NotReady(error.message, cluster=member, step=verb) from None
        raise
