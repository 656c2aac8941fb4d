"""The whole snapshot: every cluster at once, then the ways between them."""

import os
import time

from isthmus import __version__, polling, providers
from isthmus.adapters import kube, kubeconfigs
from isthmus.collectors import cluster as cluster_collector
from isthmus.collectors import lookups, paths, questions
from isthmus.diagnosis.snapshot import ClusterSnapshot, Snapshot, TlsProbe
from isthmus.environment import ClusterSpec, Environment
from isthmus.errors import IsthmusError
from isthmus.reporting.redaction import redact_strings
from isthmus.stacks import load

PARALLEL = 16
"""Clusters that are asked at a time."""
WAYS = 2
"""Ways that are tried at a time, for each such cluster."""
LOCAL = ("lab", "kind")
"""Providers whose clusters share the cores of this machine: asked all at once, each takes so long
that it looks broken."""


def take_snapshot(environment: Environment, *, proxies: bool = True, ways: bool = True) -> Snapshot:
    """Return what all clusters show now. A cluster that gives no answer stops no other.

    Without `proxies` neither Envoy nor istiod is asked, nor a dry run made: half of the time.
    Without `ways` none between clusters is tried.
    """
    begun, moment = time.monotonic(), time.time()
    at_a_time = (os.cpu_count() or 1) if environment.provider in LOCAL else PARALLEL
    with polling.use_timeouts(questions.limits(environment.timeouts)):
        seen = questions.in_parallel(
            lambda spec: _cluster(environment, spec, proxies), environment.clusters, at_a_time
        )
        clusters = [snapshot for snapshot, _ in seen]
        probes: list[TlsProbe] = []
        if ways:
            clusters, probes = _ways(
                environment, clusters, [client for _, client in seen], at_a_time
            )
    found = Snapshot(
        isthmus=__version__,
        taken_at=moment,
        seconds=round(time.monotonic() - begun, 1),
        environment=environment.model_dump(mode="json"),
        clusters=clusters,
        probes=probes,
    )
    # Nothing was handed in that is secret; should a message or a log quote something, it ends here.
    return Snapshot.model_validate(redact_strings(found.model_dump()))


def _cluster(
    environment: Environment, spec: ClusterSpec, proxies: bool
) -> tuple[ClusterSnapshot, kube.Kube | None]:
    host = spec == environment.host
    try:
        access = providers.get_provider(environment).access(environment, spec)
        client = kube.connect(access)
        server = access.server or kubeconfigs.server(access)[0]
    except IsthmusError as error:
        return _unreachable(spec, host, error), None
    found = cluster_collector.collect(client, spec, environment, server, host=host, proxies=proxies)
    return found, client if found.reachable else None


def _unreachable(spec: ClusterSpec, host: bool, error: IsthmusError) -> ClusterSnapshot:
    said = f"{error.message}; {error.hint}" if error.hint else error.message
    return ClusterSnapshot(
        name=spec.name,
        region=spec.region,
        network=spec.network,
        host=host,
        reachable=False,
        unreachable_reason=said,
    )


def _ways(
    environment: Environment,
    clusters: list[ClusterSnapshot],
    clients: list[kube.Kube | None],
    at_a_time: int,
) -> tuple[list[ClusterSnapshot], list[TlsProbe]]:
    pairs = [(c, seen) for c, seen in zip(clients, clusters, strict=True) if c]
    askers = [found for client, seen in pairs if (found := paths.asker(client, seen))]
    probes = paths.probe(askers, clusters, load(environment.stack).gateway, WAYS * at_a_time)
    for asking in askers:
        if asking.cluster == clusters[0].name:
            probes += paths.api_servers(asking, clusters[0])
    looked_up = lookups.look_up(askers, clusters)
    named = [c.model_copy(update={"lookups": looked_up.get(c.name, [])}) for c in clusters]
    return named, probes
