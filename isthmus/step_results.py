"""What steps hand to each other: frozen plain data, never a secret."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict


class StepResult(BaseModel):
    """Immutable, strict, and therefore fit for a cache key."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def join_host_port(address: str, port: int) -> str:
    """Return `address:port` as people and URLs write it: an IPv6 address stands in brackets."""
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


class Access(StepResult):
    """How to reach one cluster: a kubeconfig file and one context in it. Never its content."""

    cluster: str
    kubeconfig: Path
    context: str
    uid: str = ""
    """UID of the namespace kube-system: changes when the cluster is rebuilt."""
    server: str = ""
    """URL by which the other clusters reach its API server; empty: as in the kubeconfig."""
    member: str = ""
    """Its name in the federation; empty: the cluster's own."""

    @property
    def member_name(self) -> str:
        """By which name the federation knows the cluster."""
        return self.member or self.cluster

    @property
    def found(self) -> str:
        """What a person sees of it."""
        return "its API server answers"


class Done(StepResult):
    """A step has reached its end; `found` says in a few words what it met."""

    cluster: str
    found: str = ""


class RemovedCluster(StepResult):
    """A cluster that the environment has no longer and that has to be let go."""

    cluster: str
    access: Access | None = None
    """How to reach it; none if it does not answer."""
    member: str = ""
    """Its name in the federation, if it does not answer; empty: the cluster's own."""
    unreachable_reason: str = ""
    """Why it cannot be reached."""


class IstiodEndpoint(StepResult):
    """The istiod remote endpoint: where remotes reach the host's control plane."""

    cluster: str
    address: str
    port: int = 15012

    @property
    def found(self) -> str:
        """What a person sees of it."""
        return join_host_port(self.address, self.port)


class GatewayAddress(StepResult):
    """The load-balanced way into one cluster's network."""

    cluster: str
    address: str
    """Where others are sent: the load balancer's first, an IP or a host name."""
    port: int
    addresses: tuple[str, ...] = ()
    """Every IP of the load balancer, where it was asked for all: proxies list each."""

    @property
    def endpoints(self) -> list[str]:
        """What proxies list of it: `address:port` for each address."""
        return [join_host_port(address, self.port) for address in self.addresses or (self.address,)]

    @property
    def found(self) -> str:
        """What a person sees of it."""
        return join_host_port(self.address, self.port)


MAX_NAMED_OBJECTS = 3
"""Objects that a step's line names; of more it tells the number, as on a first build."""


def changed(cluster: str, objects: list[str]) -> Done:
    """Return the result of a converge step that had to change these objects."""
    if not objects:
        return Done(cluster=cluster, found="unchanged")
    some = ", ".join(objects) if len(objects) <= MAX_NAMED_OBJECTS else f"{len(objects)} objects"
    return Done(cluster=cluster, found=f"{some} changed")
