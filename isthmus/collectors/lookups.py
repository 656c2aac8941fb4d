"""How the pods of each cluster resolve the name of the service that is looked at."""

from isthmus.adapters import pod_dial
from isthmus.collectors import questions
from isthmus.collectors.paths import LIMIT, PARALLEL, Asker
from isthmus.diagnosis.objects import has_running_proxy, labels_of, listed, name_of
from isthmus.diagnosis.objects import namespace_of as space_of
from isthmus.diagnosis.snapshot import ClusterSnapshot, NameLookup, Object
from isthmus.environment.namespaces import ISTIO_NAMESPACE
from isthmus.errors import IsthmusError
from isthmus.verification.answers import HOST
from isthmus.verification.endpoints import SAMPLE_PORT


def look_up(askers: list[Asker], clusters: list[ClusterSnapshot]) -> dict[str, list[NameLookup]]:
    """Return how each cluster's pods resolve the sample's name: the asker, and one that is fresh.

    The asker's own resolver may keep an old answer, a gateway's never asked for this name before.
    """
    wanted = [(asking, "pod") for asking in askers]
    for asking in askers:
        seen = next(c for c in clusters if c.name == asking.cluster)
        gateways = [p for p in listed(seen, "Pod") if _is_gateway(p) and has_running_proxy(p)]
        for pod in gateways[:1]:
            place = pod_dial.Pod(space_of(pod), name_of(pod), "istio-proxy")
            wanted.append((Asker(asking.client, asking.cluster, place), "dns"))
    found: dict[str, list[NameLookup]] = {}
    for lookup in questions.in_parallel(lambda item: _look_up(*item), wanted, PARALLEL):
        if lookup:
            found.setdefault(lookup.cluster, []).append(lookup)
    return found


def _is_gateway(pod: Object) -> bool:
    return space_of(pod) == ISTIO_NAMESPACE and "istio" in labels_of(pod)


def _look_up(asking: Asker, resolver: str) -> NameLookup | None:
    """Return what came of a look-up, nothing if the pod could not be asked."""
    try:
        dialled = pod_dial.dial(asking.client, asking.pod, HOST, SAMPLE_PORT, LIMIT)
    except IsthmusError:
        return None
    if dialled.missing:
        return None
    return NameLookup(
        cluster=asking.cluster,
        name=HOST,
        resolver=resolver,
        addresses=(dialled.address,) if dialled.address else (),
        error=dialled.error if dialled.error_at == "name" else "",
    )
