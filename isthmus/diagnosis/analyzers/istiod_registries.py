"""Whether each replica of istiod knows what each cluster has: clusters, endpoints, gateways."""

from collections.abc import Iterator

from isthmus.diagnosis.finding import Failure, analyzer, kubectl
from isthmus.diagnosis.objects import listed, name_of
from isthmus.diagnosis.registry import Member, gap, members
from isthmus.diagnosis.services import up
from isthmus.diagnosis.snapshot import IstiodSnapshot, Snapshot
from isthmus.diagnosis.times import utc
from isthmus.diagnosis.versions import defect
from isthmus.diagnosis.wiring import SYNCED, clusterz, name_of_secret, secrets_are_known
from isthmus.environment.namespaces import ISTIO_NAMESPACE


@analyzer("F02", "istiod is ready, but lacks a cluster's endpoints")
def lacks_endpoints(snapshot: Snapshot) -> Iterator[Failure]:
    """A replica that serves proxies lacks what the cluster's own API server lists."""
    for istiod, member in _settled(snapshot):
        if member.changed_after_start(istiod):
            continue  # F04
        if missing := gap(snapshot, istiod, member):
            yield _lacking(snapshot, istiod, member, missing)


def _lacking(
    snapshot: Snapshot, istiod: IstiodSnapshot, member: Member, missing: list[str]
) -> Failure:
    host, name = snapshot.host.name, member.cluster.name
    whole = [i.pod for i in _ready(snapshot) if i is not istiod and not gap(snapshot, i, member)]
    if whole:
        missing.append(f"{', '.join(whole)} of the same istiod lacks nothing of {name}")
    cause, certain = _why(istiod, member)
    return Failure(
        clusters=(host, name) if name != host else (host,),
        object=f"Pod {ISTIO_NAMESPACE}/{istiod.pod}",
        evidence=tuple(missing),
        cause=cause,
        fix=_fix(snapshot, istiod, member),
        certain=certain,
    )


def _why(istiod: IstiodSnapshot, member: Member) -> tuple[str, bool]:
    name = member.cluster.name
    found = clusterz(istiod, member.key)
    if istiod.clusters is not None and found is None:
        return f"this replica made no cluster of the remote secret of {name} when it started", True
    if found and found.get("syncStatus") != SYNCED:
        return f"this replica became ready before it had read {name} whole, and has not since", True
    return f"either its watch of {name} is dead, or its registry dropped what it had read", False


def _fix(snapshot: Snapshot, istiod: IstiodSnapshot, member: Member) -> str:
    """Return what mends it: a restart is no use while the API server is not to be read."""
    restart = kubectl(snapshot.host.name, f"-n {ISTIO_NAMESPACE} delete pod {istiod.pod}")
    return f"{up(snapshot)}\n{restart}" if _is_refused(member) else restart


def _is_refused(member: Member) -> bool:
    return member.secret is not None and not 200 <= member.secret.login.status < 300


@analyzer("F04", "istiod did not take up a changed remote secret")
def change_not_taken_up(snapshot: Snapshot) -> Iterator[Failure]:
    """A remote secret was written while istiod ran, and what it leads to is not there."""
    found: dict[str, tuple[Member, IstiodSnapshot, list[str]]] = {}
    for istiod, member in _settled(snapshot):
        if not member.changed_after_start(istiod):
            continue
        if missing := gap(snapshot, istiod, member):
            lines = found.setdefault(member.key, (member, istiod, []))[2]
            lines += [*missing, *_times(istiod, member)]
    for member, istiod, lines in found.values():
        yield _not_taken_up(snapshot, member, istiod, lines)


def _not_taken_up(
    snapshot: Snapshot, member: Member, istiod: IstiodSnapshot, lines: list[str]
) -> Failure:
    known = defect(istiod.version)
    restart = _restart_all(snapshot)
    reason = f"Istio {istiod.version}: {known[1]} ({known[0]})" if known else ""
    return Failure(
        clusters=(snapshot.host.name, member.cluster.name),
        object=name_of_secret(member.secret) if member.secret else "",
        evidence=tuple(lines),
        cause=reason
        or "either istiod cannot log in with what the Secret now holds, or its "
        "registry of that cluster was not replaced when the Secret changed",
        fix=f"{up(snapshot)}\n{restart}" if _is_refused(member) else restart,
        certain=bool(known),
    )


def _times(istiod: IstiodSnapshot, member: Member) -> Iterator[str]:
    written = member.secret.written_at if member.secret else None
    if written and istiod.started_at:
        yield f"Secret written {utc(written)}, {istiod.pod} started {utc(istiod.started_at)}"


@analyzer("F35", "This version of istiod breaks on a changed remote secret", severity="warning")
def breaks_on_change(snapshot: Snapshot) -> Iterator[Failure]:
    """A remote secret was written while an istiod ran that is known not to bear it."""
    for istiod, member in _settled(snapshot):
        known, secret = defect(istiod.version), member.secret
        if not known or secret is None or not member.changed_after_start(istiod):
            continue
        if gap(snapshot, istiod, member):
            continue  # F04
        yield Failure(
            clusters=(snapshot.host.name, member.cluster.name),
            object=name_of_secret(secret),
            evidence=(f"Istio {istiod.version}", *_times(istiod, member)),
            cause=f"{known[1]} ({known[0]}); nothing is missing now, and if the Secret was made, "
            "not changed, nothing will be",
            fix=_restart_all(snapshot),
            certain=False,
        )


def _settled(snapshot: Snapshot) -> Iterator[tuple[IstiodSnapshot, Member]]:
    """Yield each ready replica of the host with each cluster that it has had time to read."""
    if not secrets_are_known(snapshot.host):
        return
    for istiod in _ready(snapshot):
        for member in members(snapshot, istiod):
            if member.is_settled(istiod, snapshot.taken_at):
                yield istiod, member


def _ready(snapshot: Snapshot) -> list[IstiodSnapshot]:
    return [istiod for istiod in snapshot.host.istiods if istiod.ready]


def _restart_all(snapshot: Snapshot) -> str:
    every = map(name_of, listed(snapshot.host, "Deployment", ISTIO_NAMESPACE))
    names = [name for name in every if name.startswith("istiod")]
    words = " ".join(f"deployment/{name}" for name in names) or "deployment/istiod"
    return kubectl(snapshot.host.name, f"-n {ISTIO_NAMESPACE} rollout restart {words}")


ANALYZERS = (lacks_endpoints, change_not_taken_up, breaks_on_change)
