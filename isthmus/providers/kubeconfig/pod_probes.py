"""What only a pod can tell: whether load balancers give addresses, and who reaches whom."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from isthmus import polling
from isthmus.adapters import connectivity
from isthmus.environment import Environment
from isthmus.errors import IsthmusError, NotReady, Unprepared
from isthmus.providers.kubeconfig import probe_namespace, reachability, requirements, token_login
from isthmus.providers.kubeconfig.inspection import ClusterInspection, is_called
from isthmus.step_results import join_host_port

T = TypeVar("T")


@dataclass(frozen=True)
class ProbedCluster:
    """A cluster with a pod that calls, and the address at which others call it."""

    sight: ClusterInspection
    address: str

    @property
    def answers(self) -> bool:
        """Whether something must listen there: a stand-in, or a gateway that was told to."""
        return self.sight.listens or not self.sight.gateway

    @property
    def name(self) -> str:
        """The cluster's name."""
        return self.sight.cluster.name


def probe(environment: Environment, sights: Sequence[ClusterInspection]) -> list[IsthmusError]:
    """Return all that pods of these clusters found wrong; none of them keeps anything of it."""

    def prepared(sight: ClusterInspection) -> ProbedCluster:
        return ProbedCluster(sight, probe_namespace.prepare(environment, sight))

    attempt = polling.carried(_attempt)
    with ThreadPoolExecutor(len(sights)) as pool:
        futures = [pool.submit(attempt, partial(prepared, sight)) for sight in sights]
        try:
            outcomes = [future.result() for future in futures]
            places = [place for place, _ in outcomes if place]
            refusals = [error for _, found in outcomes for error in found]
            refusals += _ways(environment, places)
        finally:
            wait(futures)  # or one would make what has just been removed
            ended = list(pool.map(attempt, [partial(probe_namespace.remove, s) for s in sights]))
    return refusals + [error for _, found in ended for error in found]


def _ways(environment: Environment, places: Sequence[ProbedCluster]) -> list[IsthmusError]:
    """Return a refusal for each way that leads nowhere; all are tried at once."""
    wanted = [(place, call) for place in places for call in _calls(environment, place, places)]
    actions = [partial(_call, *way) for way in wanted]
    hosts = [p for p in places if p.sight.cluster == environment.host and p.answers]
    actions += [partial(_connect, host) for host in hosts]
    called = [p.sight for p in places if is_called(environment, p.sight.cluster)]
    actions += [partial(token_login.check, sight) for sight in called]
    attempt = polling.carried(_attempt)
    with ThreadPoolExecutor(max(len(actions), 1)) as pool:
        return [error for _, found in pool.map(attempt, actions) for error in found]


def _attempt(action: Callable[[], T]) -> tuple[T | None, list[IsthmusError]]:
    """Return what an action returns, or what it refuses: others go on meanwhile."""
    try:
        return action(), []
    except IsthmusError as error:
        polling.go_on()
        return None, [error]


def _calls(
    environment: Environment, place: ProbedCluster, places: Sequence[ProbedCluster]
) -> Iterator[reachability.ReachabilityProbe]:
    """Give what its pods must reach: gateways from everywhere, API servers from the host."""
    if place.sight.cluster == environment.host:
        for other in places:
            if is_called(environment, other.sight.cluster):
                sight = other.sight
                yield reachability.server(
                    other.name, sight.server, sight.authority, sight.server_name
                )
    for other in places:
        if other == place or (place.sight.gateway and other.sight.gateway):
            continue
        if other.answers:
            for port in requirements.ports(environment, other.sight.cluster).values():
                stands = bool(other.sight.gateway)
                yield reachability.gateway(other.name, other.address, port, stands=stands)


def _call(place: ProbedCluster, call: reachability.ReachabilityProbe) -> None:
    """Wait until one address answers a cluster's pod."""
    client, said = probe_namespace.client_of(place.sight), ""

    def answers() -> bool | None:
        nonlocal said
        printed = client.execute("caller", probe_namespace.NAMESPACE, "caller", call.command)
        said = reachability.problem(call, printed.out, printed.err)
        return None if said else True

    limits = polling.limits()
    limit = limits.answer if call.to == "stand-in" else limits.connect
    try:
        polling.until(answers, call.url, timeout=limit, interval=1.0, cluster=place.name)
    except NotReady:
        raise reachability.refusal(place.name, call, said) from None


def _connect(host: ProbedCluster) -> None:
    """Wait until this machine comes to a connection with the host's gateway, as `up` has to."""
    port, said = requirements.ISTIOD_PORT, ""

    def connects() -> bool | None:
        nonlocal said
        said = connectivity.connect(host.address, port)
        return None if said else True

    limits = polling.limits()
    limit = limits.connect if host.sight.gateway else limits.answer
    try:
        polling.until(connects, "a connection", timeout=limit, interval=1.0, cluster=host.name)
    except NotReady:
        where = join_host_port(host.address, port)
        raise Unprepared(
            f"this machine does not reach its load balancer at {where}: {said}; "
            "`up` looks there whether remotes will find istiod",
            cluster=host.name,
            hint="open that port to this machine, or run Isthmus where it is open",
        ) from None
