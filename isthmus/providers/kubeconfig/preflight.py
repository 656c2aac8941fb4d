"""Clusters that exist, looked at before the first write: all at once, and all that is wrong.

First every cluster is asked. Those with which nothing is wrong so far are then probed, which makes
pods and a load balancer there for a minute, unless our gateway stands in every one: then the mesh
itself is the proof, and nothing is written.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from isthmus import events, polling
from isthmus.environment import ClusterSpec, Environment
from isthmus.errors import BadEnvironment, IsthmusError, combine_errors
from isthmus.providers.kubeconfig import inspection, pod_probes
from isthmus.providers.kubeconfig.inspection import ClusterInspection
from isthmus.step_results import Access


def check(environment: Environment, accesses: Sequence[Access]) -> None:
    """Raise one error that says everything for which these clusters are refused."""
    if refusals := find_refusals(environment, accesses):
        name = environment.name
        message = f"{name} cannot be built on these clusters yet; nothing of it was changed:"
        raise combine_errors(
            refusals, message, "fix what the list says, then run the same command again"
        )


def find_refusals(environment: Environment, accesses: Sequence[Access]) -> list[IsthmusError]:
    """Return every refusal, in the order of the clusters; what was probed is removed again."""
    events.report_progress(f"inspecting {', '.join(c.name for c in environment.clusters)}")
    pairs = list(zip(environment.clusters, accesses, strict=True))

    def look_at(pair: tuple[ClusterSpec, Access]) -> ClusterInspection:
        return inspection.inspect_cluster(environment, *pair)

    with ThreadPoolExecutor(len(pairs)) as pool:
        sights = list(pool.map(polling.in_current_context(look_at), pairs))
    _refuse_duplicates(sights)
    _excuse_silent_gateways(environment, sights)
    refusals = [error for sight in sights for error in sight.refusals]
    if not all(sight.gateway_address for sight in sights):
        refusals += _probe(environment, [sight for sight in sights if not sight.refusals])
    return refusals


def _probe(environment: Environment, sound: Sequence[ClusterInspection]) -> list[IsthmusError]:
    if not sound:
        return []
    events.report_progress(
        f"probing {', '.join(s.cluster.name for s in sound)} by pods and load balancers"
    )
    return pod_probes.probe(environment, sound)


def _excuse_silent_gateways(environment: Environment, sights: Sequence[ClusterInspection]) -> None:
    """Demand a listener of no gateway before the host's istiod can have told it to listen.

    A build that was ended half-way leaves such gateways; to refuse them would end every later one.
    """
    told = all(sight.gateway_listening for sight in sights if sight.cluster == environment.host)
    for sight in sights:
        sight.gateway_listening = sight.gateway_listening and told


def _refuse_duplicates(sights: Sequence[ClusterInspection]) -> None:
    """Refuse each cluster that another name leads to already."""
    seen: dict[str, str] = {}
    for sight in sights:
        name = sight.cluster.name
        if sight.uid and sight.uid in seen:
            message = f"is the same cluster as {seen[sight.uid]} (kube-system UID {sight.uid})"
            hint = "give every cluster a context of its own in the environment file"
            sight.refusals.append(BadEnvironment(message, cluster=name, hint=hint))
        seen.setdefault(sight.uid, name)
