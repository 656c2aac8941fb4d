"""Clusters that exist, looked at before the first write: all at once, and all that is wrong.

First every cluster is asked. Those with which nothing is wrong so far are then probed, which makes
pods and a load balancer there for a minute, unless our gateway stands in every one: then the mesh
itself is the proof, and nothing is written.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from isthmus import events, polling
from isthmus.environment import ClusterSpec, Environment
from isthmus.errors import BadEnvironment, IsthmusError, together
from isthmus.providers.kubeconfig import inspection, pod_probes
from isthmus.providers.kubeconfig.inspection import ClusterInspection
from isthmus.step_results import Access


def check(environment: Environment, accesses: Sequence[Access]) -> None:
    """Raise one error that says everything for which these clusters are refused."""
    if refusals := look(environment, accesses):
        name = environment.name
        message = f"{name} cannot be built on these clusters yet; nothing of it was changed:"
        raise together(refusals, message, "do what the list says, then run the same again")


def look(environment: Environment, accesses: Sequence[Access]) -> list[IsthmusError]:
    """Return every refusal, in the order of the clusters; what was probed is removed again."""
    events.say(f"asking {', '.join(c.name for c in environment.clusters)}")
    pairs = list(zip(environment.clusters, accesses, strict=True))

    def look_at(pair: tuple[ClusterSpec, Access]) -> ClusterInspection:
        return inspection.look(environment, *pair)

    with ThreadPoolExecutor(len(pairs)) as pool:
        sights = list(pool.map(polling.carried(look_at), pairs))
    _refuse_twins(sights)
    _expect_listeners(environment, sights)
    refusals = [error for sight in sights for error in sight.refusals]
    if not all(sight.gateway for sight in sights):
        refusals += _probe(environment, [sight for sight in sights if not sight.refusals])
    return refusals


def _probe(environment: Environment, sound: Sequence[ClusterInspection]) -> list[IsthmusError]:
    if not sound:
        return []
    events.say(f"probing {', '.join(s.cluster.name for s in sound)} by pods and load balancers")
    return pod_probes.probe(environment, sound)


def _expect_listeners(environment: Environment, sights: Sequence[ClusterInspection]) -> None:
    """Demand a listener of no gateway before the host's istiod can have told it to listen.

    A build that was ended half-way leaves such gateways; to refuse them would end every later one.
    """
    told = all(sight.listens for sight in sights if sight.cluster == environment.host)
    for sight in sights:
        sight.listens = sight.listens and told


def _refuse_twins(sights: Sequence[ClusterInspection]) -> None:
    """Refuse each cluster that another name leads to already."""
    seen: dict[str, str] = {}
    for sight in sights:
        name = sight.cluster.name
        if sight.uid and sight.uid in seen:
            message = f"is the same cluster as {seen[sight.uid]} (kube-system UID {sight.uid})"
            hint = "give every cluster a context of its own in the environment file"
            sight.refusals.append(BadEnvironment(message, cluster=name, hint=hint))
        seen.setdefault(sight.uid, name)
