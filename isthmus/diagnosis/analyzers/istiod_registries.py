"""Whether each replica of istiod knows what each cluster has: clusters, endpoints, gateways."""

from collections.abc import Iterable, Iterator

from isthmus.diagnosis.finding import Failure, analyzer, kubectl
from isthmus.diagnosis.objects import listed, name_of
from isthmus.diagnosis.registry import Member, gap, members
from isthmus.diagnosis.replicas import Replica, replicas
from isthmus.diagnosis.services import up
from isthmus.diagnosis.snapshot import IstiodSnapshot, Snapshot
from isthmus.diagnosis.times import utc
from isthmus.diagnosis.versions import defect
from isthmus.diagnosis.wiring import SYNCED, name_of_secret, secrets_are_known
from isthmus.environment.namespaces import ISTIO_NAMESPACE


@analyzer("F02", "istiod is ready, but lacks a cluster's endpoints")
def lacks_endpoints(snapshot: Snapshot) -> Iterator[Failure]:
    """A replica that serves proxies lacks what the cluster's own API server lists."""
    every = replicas(snapshot)
    for replica, member in _settled(snapshot, every):
        if member.changed_after_start(replica.istiod):
            continue  # F04
        if missing := gap(snapshot, replica, member):
            others = [r for r in every if r is not replica]
            whole = [r.istiod.pod for r in others if not gap(snapshot, r, member)]
            yield _lacking(snapshot, replica, member, missing, whole)


def _lacking(
    snapshot: Snapshot, replica: Replica, member: Member, missing: list[str], whole: list[str]
) -> Failure:
    host, name = snapshot.host.name, member.cluster.name
    if whole:
        missing.append(f"{', '.join(whole)} of the same istiod lacks nothing of {name}")
    cause, certain = _why(replica, member)
    return Failure(
        clusters=(host, name) if name != host else (host,),
        object=f"Pod {ISTIO_NAMESPACE}/{replica.istiod.pod}",
        evidence=tuple(missing),
        cause=cause,
        fix=_fix(snapshot, replica.istiod, member),
        certain=certain,
    )


def _why(replica: Replica, member: Member) -> tuple[str, bool]:
    name = member.cluster.name
    found = replica.clusters.get(member.key)
    if replica.istiod.clusters is not None and found is None:
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
    for replica, member in _settled(snapshot, replicas(snapshot)):
        istiod = replica.istiod
        if not member.changed_after_start(istiod):
            continue
        if missing := gap(snapshot, replica, member):
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
    for replica, member in _settled(snapshot, replicas(snapshot)):
        istiod, secret = replica.istiod, member.secret
        known = defect(istiod.version)
        if not known or secret is None or not member.changed_after_start(istiod):
            continue
        if gap(snapshot, replica, member):
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


def _settled(snapshot: Snapshot, every: Iterable[Replica]) -> Iterator[tuple[Replica, Member]]:
    """Yield each of some replicas with each cluster that it has had time to read."""
    if not secrets_are_known(snapshot.host):
        return
    for replica in every:
        for member in members(snapshot, replica.istiod):
            if member.is_settled(replica.istiod, snapshot.taken_at):
                yield replica, member


def _restart_all(snapshot: Snapshot) -> str:
    every = map(name_of, listed(snapshot.host, "Deployment", ISTIO_NAMESPACE))
    names = [name for name in every if name.startswith("istiod")]
    words = " ".join(f"deployment/{name}" for name in names) or "deployment/istiod"
    return kubectl(snapshot.host.name, f"-n {ISTIO_NAMESPACE} rollout restart {words}")


ANALYZERS = (lacks_endpoints, change_not_taken_up, breaks_on_change)
