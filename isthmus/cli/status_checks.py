"""What is seen in the clusters, judged: pure checks, each naming what is not as it should be."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from isthmus.errors import ClusterUnreachable, Findings, IsthmusError

if TYPE_CHECKING:
    from isthmus.environment import ClusterSpec, Environment


@dataclass(frozen=True)
class ReadyCount:
    """How many of them are ready."""

    ready: int
    total: int

    @property
    def ok(self) -> bool:
        """Whether there are some, and all are ready."""
        return 0 < self.total == self.ready

    def __str__(self) -> str:
        """Say so."""
        return f"{self.ready} of {self.total} ready"


@dataclass(frozen=True)
class ClusterState:
    """What a cluster that answers has."""

    version: str
    nodes: ReadyCount
    gateway_pods: ReadyCount
    gateway_address: str
    istiod: ReadyCount
    remote_secrets: tuple[str, ...] = ()
    """Of a host: the remotes whose reader secret it has."""
    ready_members: tuple[str, ...] = ()
    """Of a host: the clusters that KubeFed calls Ready."""
    unschedulable_nodes: tuple[str, ...] = ()
    """If no node takes pods: every node with the reason, `one (cordoned)`."""
    unreachable_kubelets: tuple[str, ...] = ()
    """What is said of each kubelet that the API server does not reach, with what to do."""


@dataclass(frozen=True)
class ClusterStatus:
    """One cluster, with what was seen in it or why nothing was."""

    cluster: "ClusterSpec"
    state: ClusterState | None
    error_message: str = ""
    unreachable: bool = False
    member: str = ""
    """Its name in the federation, where only the cluster's provider knows it."""


@dataclass(frozen=True)
class StatusCheck:
    """One thing that should be so, in one cluster."""

    cluster: str
    name: str
    ok: bool
    text: str


def checks(environment: "Environment", sights: Sequence[ClusterStatus]) -> list[StatusCheck]:
    """Return every check of every cluster, in the order in which one would repair."""
    host = next((s.state for s in sights if s.cluster == environment.host), None)
    return [check for sight in sights for check in _of_cluster(environment, sight, host)]


def error(
    found: Sequence[StatusCheck], sights: Sequence[ClusterStatus], name: str
) -> IsthmusError | None:
    """Return what `status` ends with: nothing, ClusterUnreachable or Findings."""
    hint = f"repair it: isthmus up {name}"
    if unreachable := [sight for sight in sights if sight.unreachable]:
        troubles = "; ".join(f"{s.cluster.name}: {s.error_message}" for s in unreachable)
        return ClusterUnreachable(f"{name}: unreachable: {troubles}", hint=hint)
    if failed := [f"{check.cluster}: {check.name}" for check in found if not check.ok]:
        return Findings(f"{name}: failed checks ({len(failed)}): {', '.join(failed)}", hint=hint)
    return None


def document(
    environment: "Environment", sights: Sequence[ClusterStatus], found: Sequence[StatusCheck]
) -> dict[str, Any]:
    """Return the status as JSON has it."""
    return {
        "environment": environment.name,
        "verdict": "pass" if all(check.ok for check in found) else "fail",
        "clusters": [
            {
                "name": sight.cluster.name,
                "region": sight.cluster.region,
                "network": sight.cluster.network,
                "reachable": sight.state is not None,
                "version": sight.state.version if sight.state else None,
                "gateway": (sight.state.gateway_address or None) if sight.state else None,
                "checks": [_plain(check) for check in found if check.cluster == sight.cluster.name],
            }
            for sight in sights
        ],
    }


def _plain(check: StatusCheck) -> dict[str, Any]:
    return {key: value for key, value in asdict(check).items() if key != "cluster"}


def _nodes(name: str, seen: ClusterState) -> StatusCheck:
    but = "".join(f", but {said}" for said in seen.unreachable_kubelets)
    if seen.unschedulable_nodes:
        open_it = "kubectl uncordon it, or remove the taint"
        but += f", but none is schedulable: {', '.join(seen.unschedulable_nodes)}; {open_it}"
    return StatusCheck(name, "nodes", seen.nodes.ok and not but, f"{seen.nodes}{but}")


def _of_cluster(
    environment: "Environment", sight: ClusterStatus, host: ClusterState | None
) -> Iterator[StatusCheck]:
    name = sight.cluster.name
    if sight.state is None:
        yield StatusCheck(name, "reachable", False, sight.error_message)
        return
    yield StatusCheck(name, "reachable", True, sight.state.version)
    yield _nodes(name, sight.state)
    if environment.federation == "kubefed" and host:
        member = sight.member or sight.cluster.member_name
        ready, away = "KubeFed calls it Ready", "KubeFed does not call it Ready"
        yield _present(name, "federated", member in host.ready_members, ready, away)
    if sight.cluster == environment.host:
        yield StatusCheck(name, "istiod", sight.state.istiod.ok, str(sight.state.istiod))
    elif host:
        there, gone = "the host has its remote secret", "the host lacks its remote secret"
        yield _present(name, "wired", name in host.remote_secrets, there, gone)
    yield _gateway(name, sight.state)


def _present(cluster: str, name: str, ok: bool, there: str, gone: str) -> StatusCheck:
    return StatusCheck(cluster, name, ok, there if ok else gone)


def _gateway(cluster: str, seen: ClusterState) -> StatusCheck:
    ok = seen.gateway_pods.ok and bool(seen.gateway_address)
    text = f"{seen.gateway_address or 'no address'}, pods {seen.gateway_pods}"
    return StatusCheck(cluster, "gateway", ok, text)
