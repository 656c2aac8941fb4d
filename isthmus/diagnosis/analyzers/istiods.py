"""What keeps a running istiod from being ready."""

from collections.abc import Iterator

from isthmus.diagnosis.finding import Failure, analyzer, kubectl
from isthmus.diagnosis.services import up
from isthmus.diagnosis.snapshot import (
    IstiodSnapshot,
    RemoteSecretFacts,
    Snapshot,
    TlsProbe,
)
from isthmus.diagnosis.times import duration, span
from isthmus.diagnosis.versions import parsed
from isthmus.diagnosis.wiring import api_probes, cluster_name, owner, read_secrets
from isthmus.environment.namespaces import ISTIO_NAMESPACE

TIMEOUT = "PILOT_REMOTE_CLUSTER_TIMEOUT"
DEFAULT_TIMEOUT = 30.0
"""Seconds until istiod is ready without a remote that does not answer
(istio pilot/pkg/features/pilot.go, RemoteClusterTimeout)."""
WITHOUT_TIMEOUT = (1, 10)
"""Before this minor istiod waits for each remote for ever (istio#32102, #33564)."""
START = 30.0
"""Seconds that an istiod may take besides, until it is ready."""


@analyzer("F01", "istiod is not ready because a remote's API server does not answer")
def waits_for_remote(snapshot: Snapshot) -> Iterator[Failure]:
    """A replica of the host waits for the caches of a remote that nobody fills."""
    host = snapshot.host
    dead = [
        s for s, met in api_probes(snapshot, read_secrets(snapshot)) if _is_dead(snapshot, s, met)
    ]
    for istiod in host.istiods:
        limit = _limit(istiod)
        if not istiod.ready and dead and _may_still_wait(istiod, limit, snapshot.taken_at):
            yield from (_waiting(snapshot, istiod, secret, limit) for secret in dead)
        elif limit == 0 and TIMEOUT in istiod.env:
            yield _no_limit(snapshot, istiod)


def _limit(istiod: IstiodSnapshot) -> float:
    """Return for how many seconds a replica waits for a remote; 0: for ever."""
    version = parsed(istiod.version)
    if version and version < WITHOUT_TIMEOUT:
        return 0.0
    said = duration(istiod.env[TIMEOUT]) if TIMEOUT in istiod.env else None
    return DEFAULT_TIMEOUT if said is None else max(said, 0.0)


def _may_still_wait(istiod: IstiodSnapshot, limit: float, now: float) -> bool:
    if istiod.started_at is None:
        return False
    return limit == 0 or now - istiod.started_at < limit + START


def _is_dead(snapshot: Snapshot, secret: RemoteSecretFacts, tried: list[TlsProbe]) -> bool:
    """Tell whether nobody answers at a remote secret's server: to the host's pods, or to us."""
    if tried:
        return not any(probe.connected for probe in tried)
    found = owner(snapshot, secret)
    silent = not secret.login.asked and bool(secret.login.message)
    return silent and (found is None or not found.reachable)


def _waiting(
    snapshot: Snapshot, istiod: IstiodSnapshot, secret: RemoteSecretFacts, limit: float
) -> Failure:
    host, name = snapshot.host.name, cluster_name(snapshot, secret)
    [(_, met)] = api_probes(snapshot, [secret])
    said = [probe.error or "no connection" for probe in met]
    since = snapshot.taken_at - (istiod.started_at or snapshot.taken_at)
    told = istiod.env.get(TIMEOUT, f"unset, by default {DEFAULT_TIMEOUT:.0f} s")
    until = f"after {limit:.0f} s without an answer it is ready without them" if limit else ""
    return Failure(
        clusters=(host, name),
        object=f"Pod {ISTIO_NAMESPACE}/{istiod.pod}",
        evidence=(
            f"{istiod.pod} of {host} runs for {span(since)} and is not Ready",
            f"{secret.server} of {name}: {next(iter(said), secret.login.message)}",
            f"{TIMEOUT}: {told}; Istio {istiod.version or 'of an unknown version'}",
        ),
        cause="istiod is ready only when the caches of every cluster with a remote secret are "
        f"filled; {until or f'it waits for {name} without a limit'}",
        fix=_ready_without(snapshot, istiod, secret, limit),
        severity="warning" if limit else None,
    )


def _ready_without(
    snapshot: Snapshot, istiod: IstiodSnapshot, secret: RemoteSecretFacts, limit: float
) -> str:
    """Return how the rest of the mesh gets its control plane back, though a remote is dead."""
    host, name = snapshot.host.name, cluster_name(snapshot, secret)
    if limit:
        return kubectl(host, f"-n {ISTIO_NAMESPACE} rollout status deployment/istiod")
    if TIMEOUT in istiod.env:
        return _default_limit(snapshot)
    words = f"-n {secret.namespace} delete secret {secret.name}"
    return f"{kubectl(host, words)}\n# once {name} answers again:\n{up(snapshot)}"


def _default_limit(snapshot: Snapshot) -> str:
    words = f"-n {ISTIO_NAMESPACE} set env deployment/istiod {TIMEOUT}-"
    return kubectl(snapshot.host.name, words)


def _no_limit(snapshot: Snapshot, istiod: IstiodSnapshot) -> Failure:
    return Failure(
        clusters=(snapshot.host.name,),
        object=f"Pod {ISTIO_NAMESPACE}/{istiod.pod}",
        evidence=(f"{TIMEOUT}={istiod.env[TIMEOUT]}",),
        cause="0 switches the limit off: an istiod that starts while one remote's API server does "
        "not answer never becomes ready, and the whole mesh has no control plane",
        fix=_default_limit(snapshot),
        severity="warning",
    )


ANALYZERS = (waits_for_remote,)
