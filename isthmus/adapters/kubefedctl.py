"""KubeFed's own command line: joining a cluster to a federation and taking it out again."""

from pathlib import Path

from isthmus.adapters import shell
from isthmus.errors import NotReady, Rejected

NAMESPACE = "kube-federation-system"
TIMEOUT = 60.0
PASSING = ("failed calling webhook", "connection refused", "no endpoints available")
"""What is said in the moment between a ready webhook and the routes to it."""


def join(program: Path, kubeconfig: Path, host: str, member: str) -> None:
    """Make `member` a cluster of the federation in `host`; both are contexts of `kubeconfig`.

    A KubeFedCluster of that name that exists already is written anew.
    """
    flags = [f"--cluster-context={member}", "--error-on-existing=false"]
    _run(program, "join", member, kubeconfig, host, flags)


def unjoin(program: Path, kubeconfig: Path, host: str, member: str) -> None:
    """Leave nothing of the membership, in the host or in the member; a dead member is let go."""
    flags = [f"--cluster-context={member}", "--force"]
    _run(program, "unjoin", member, kubeconfig, host, flags)


def _run(
    program: Path, verb: str, member: str, kubeconfig: Path, host: str, flags: list[str]
) -> None:
    command = [
        program,
        verb,
        member,
        f"--kubeconfig={kubeconfig}",
        f"--host-cluster-context={host}",
    ]
    try:
        shell.run([*command, *flags, "--v=0"], timeout=TIMEOUT, cluster=member, step=verb)
    except Rejected as error:
        if any(sign in error.message for sign in PASSING):
            raise NotReady(error.message, cluster=member, step=verb) from None
        raise
