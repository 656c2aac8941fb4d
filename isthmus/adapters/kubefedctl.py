"""KubeFed's own command line: joining a cluster to a federation and taking it out again."""

import json
import re
from pathlib import Path
from typing import Literal

from isthmus import polling
from isthmus.adapters import api_proxy, kube, kubeconfigs, shell
from isthmus.errors import ClusterUnreachable, NotReady, Rejected
from isthmus.step_results import Access

Verb = Literal["join", "unjoin"]
FLAGS: dict[Verb, str] = {"join": "--error-on-existing=false", "unjoin": "--force"}
"""What lets each verb be run again."""
PASSING = re.compile(r"failed calling webhook .*kubefed\.io|no endpoints available", re.DOTALL)
"""What is said in the moment between a ready webhook and the routes to it."""
MEMBERS = "/kubefedclusters"
"""What is in the path of every request that writes a KubeFedCluster."""


def join(program: Path, host: Access, member: Access) -> None:
    """Make `member` a cluster of the federation in `host`, to be reached as its kubeconfig says.

    A KubeFedCluster that exists already is written anew.
    """
    _run(program, host, member, "join")


def unjoin(program: Path, host: Access, member: Access) -> None:
    """Leave nothing of the membership, in the host or in the member; a dead member is let go."""
    _run(program, host, member, "unjoin")


def arguments(verb: Verb, name: str, host: str, member: str) -> list[str]:
    """Return kubefedctl's arguments; `host` and `member` are contexts."""
    contexts = [f"--host-cluster-context={host}", f"--cluster-context={member}"]
    # A Secret with a made-up name would be made once more at each repetition, a token in each.
    secret = [f"--secret-name={name}-kubefed-token"] if verb == "join" else []
    return [verb, name, *contexts, *secret, FLAGS[verb]]


def _run(program: Path, host: Access, member: Access, verb: Verb) -> None:
    """Run kubefedctl; each of its requests is repeated where it would give up."""
    ways = {access.cluster: kube.connect(access) for access in (host, member)}
    words = arguments(verb, member.member_name, host.cluster, member.cluster)
    with api_proxy.run_proxy(ways, lambda path, body: _named(member, path, body)) as kubeconfig:
        command = [program, *words, f"--kubeconfig={kubeconfig}", "--v=0"]
        limit = polling.timeouts().federation
        try:
            shell.run_on_cluster(command, timeout=limit, cluster=member.cluster, step=verb)
        except (Rejected, ClusterUnreachable) as error:
            if PASSING.search(error.message):
                raise NotReady(error.message, cluster=member.cluster, step=verb) from None
            raise


def _named(member: Access, path: str, body: bytes) -> bytes:
    """Return what kubefedctl writes, with the member's own address in the place of our way to it.

    It copies the URL at which it reaches the member, and the CA and the proxy of that way
    (kubefed pkg/kubefedctl/join.go), for KubeFed to reach it from the host.
    """
    if MEMBERS not in path or not body:
        return body
    written = json.loads(body)
    if "spec" not in written:
        return body  # the options of a deletion
    written["spec"] |= kubeconfigs.kubefed_cluster_spec(member)
    return json.dumps(written).encode()
