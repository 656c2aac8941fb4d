"""What only a pod can tell: whether load balancers give addresses, and who reaches whom."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from isthmus import polling
from isthmus.adapters import connectivity, cross_cluster_access, kubeconfigs
from isthmus.environment import Environment
from isthmus.errors import BadEnvironment, IsthmusError, NotReady, Unprepared
from isthmus.providers.kubeconfig import probe_namespace, reachability, requirements
from isthmus.providers.kubeconfig.inspection import ClusterInspection, is_api_server_called
from isthmus.step_results import join_host_port

T = TypeVar("T")


@dataclass(frozen=True)
class ProbedCluster:
    """A cluster with a pod that calls, and the address at which others call it."""

    inspection: ClusterInspection
    address: str

    @property
    def must_listen(self) -> bool:
        """Whether something must listen there: a stand-in, or a gateway that was told to."""
        return self.inspection.gateway_listening or not self.inspection.gateway_address

    @property
    def name(self) -> str:
        """The cluster's name."""
        return self.inspection.cluster.name


def probe(environment: Environment, sights: Sequence[ClusterInspection]) -> list[IsthmusError]:
    """Return all that pods of these clusters found wrong; none of them keeps anything of it."""

    def prepared(sight: ClusterInspection) -> ProbedCluster:
        return ProbedCluster(sight, probe_namespace.prepare(environment, sight))

    attempt = polling.in_current_context(_attempt)
    with ThreadPoolExecutor(len(sights)) as pool:
        futures = [pool.submit(attempt, partial(prepared, sight)) for sight in sights]
        try:
            outcomes = [future.result() for future in futures]
            places = [place for place, _ in outcomes if place]
            refusals = [error for _, found in outcomes for error in found]
            refusals += _probe_connections(environment, places)
        finally:
            wait(futures)  # or one would make what has just been removed
            ended = list(pool.map(attempt, [partial(probe_namespace.remove, s) for s in sights]))
    return refusals + [error for _, found in ended for error in found]


def _probe_connections(
    environment: Environment, places: Sequence[ProbedCluster]
) -> list[IsthmusError]:
    """Return a refusal for each way that leads nowhere; all are tried at once."""
    wanted = [
        (place, call) for place in places for call in _required_probes(environment, place, places)
    ]
    actions = [partial(_await_answer, *way) for way in wanted]
    hosts = [p for p in places if p.inspection.cluster == environment.host and p.must_listen]
    actions += [partial(_connect, host) for host in hosts]
    found = [p.inspection for p in places]
    called = [i for i in found if is_api_server_called(environment, i.cluster)]
    actions += [partial(check, inspection) for inspection in called]
    attempt = polling.in_current_context(_attempt)
    with ThreadPoolExecutor(max(len(actions), 1)) as pool:
        return [error for _, found in pool.map(attempt, actions) for error in found]


def _attempt(action: Callable[[], T]) -> tuple[T | None, list[IsthmusError]]:
    """Return what an action returns, or what it refuses: others go on meanwhile."""
    try:
        return action(), []
    except IsthmusError as error:
        polling.raise_if_stopped()
        return None, [error]


def _required_probes(
    environment: Environment, place: ProbedCluster, places: Sequence[ProbedCluster]
) -> Iterator[reachability.ReachabilityProbe]:
    """Give what its pods must reach: gateways from everywhere, API servers from the host."""
    if place.inspection.cluster == environment.host:
        for other in places:
            if is_api_server_called(environment, other.inspection.cluster):
                sight = other.inspection
                yield reachability.api_server_probe(
                    other.name, sight.server, sight.server_ca_bundle, sight.tls_server_name
                )
    for other in places:
        both = place.inspection.gateway_address and other.inspection.gateway_address
        if other == place or both:
            continue
        if other.must_listen:
            for port in requirements.ports(environment, other.inspection.cluster).values():
                stands = bool(other.inspection.gateway_address)
                yield reachability.gateway_probe(other.name, other.address, port, stands=stands)


def _await_answer(place: ProbedCluster, call: reachability.ReachabilityProbe) -> None:
    """Wait until one address answers a cluster's pod."""
    client, said = probe_namespace.client_of(place.inspection), ""

    def answers() -> bool | None:
        nonlocal said
        printed = client.execute("caller", probe_namespace.NAMESPACE, "caller", call.command)
        said = reachability.parse_curl_error(call, printed.out, printed.err)
        return None if said else True

    limits = polling.timeouts()
    limit = limits.answer if call.target_kind == "stand-in" else limits.connect
    try:
        what = f"{call.url} to answer"
        polling.until(answers, what, timeout=limit, interval=1.0, cluster=place.name)
    except NotReady:
        raise reachability.unreachable_error(place.name, call, said) from None


def _connect(host: ProbedCluster) -> None:
    """Wait until this machine comes to a connection with the host's gateway, as `up` has to."""
    port, said = requirements.ISTIOD_PORT, ""

    def connects() -> bool | None:
        nonlocal said
        said = connectivity.tcp_error(host.address, port)
        return None if said else True

    limits = polling.timeouts()
    limit = limits.connect if host.inspection.gateway_address else limits.answer
    try:
        polling.until(
            connects,
            "a connection to its load balancer",
            timeout=limit,
            interval=1.0,
            cluster=host.name,
        )
    except NotReady:
        where = join_host_port(host.address, port)
        raise Unprepared(
            f"this machine does not reach its load balancer at {where}: {said}; "
            "`up` checks there whether remotes can reach istiod",
            cluster=host.name,
            hint="open that port to this machine, or run Isthmus where it is open",
        ) from None


def check(sight: ClusterInspection) -> None:
    """Raise BadEnvironment if the API server refuses an account of its own at that address.

    The token is of the kind that the mesh will use, of an account without rights, and ends with the
    probe's namespace.
    """
    client = probe_namespace.client_of(sight)
    found = cross_cluster_access.await_token(client, "login", probe_namespace.NAMESPACE, "default")
    token = found["token"]
    if said := cross_cluster_access.token_login_error(client.access, token, sight.cluster_ca):
        raise BadEnvironment(
            f"{sight.server} rejects a token of its ServiceAccounts ({said}), and istiod logs in "
            "with one",
            cluster=sight.cluster.name,
            hint="take a context that leads to the API server itself, in Rancher that of the "
            f"authorized cluster endpoint ({kubeconfigs.get_contexts_command(client.access)}); "
            "or set `server: https://ADDRESS:PORT` to the API server's own; or have the proxy "
            "take such tokens (Rancher 2.9 and later: JWT authentication of the cluster)",
        )
