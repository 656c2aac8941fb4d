"""Remote secrets: whether istiod reads each one, and each cluster but once."""

from collections import defaultdict
from collections.abc import Iterator

from isthmus.diagnosis.finding import Failure, analyzer, kubectl
from isthmus.diagnosis.services import up
from isthmus.diagnosis.snapshot import ClusterSnapshot, RemoteSecretFacts, Snapshot
from isthmus.diagnosis.wiring import (
    cluster_name,
    has_mesh,
    is_placed,
    is_read,
    name_of_secret,
    secrets_are_known,
    secrets_of,
)
from isthmus.environment.namespaces import ISTIO_NAMESPACE, REMOTE_SECRET_PREFIX

LABEL = "istio/multiCluster=true"
ANNOTATION = "networking.istio.io/cluster"


@analyzer("F05", "A remote secret is missing, or istiod does not read it")
def secret_not_read(snapshot: Snapshot) -> Iterator[Failure]:
    """The host has no Secret by which its istiod reads a cluster.

    istiod watches Secrets of its own namespace with the label, and makes a cluster of each key
    (istio pkg/kube/multicluster/secretcontroller.go, NewController).
    """
    host = snapshot.host
    if not secrets_are_known(host) or not has_mesh(host):
        return
    yield from _bad_content(snapshot)
    yield from _other_annotation(snapshot)
    led = secrets_of(snapshot)
    for remote in snapshot.remotes:
        meant = led.get(remote.name, [])
        if any(map(is_placed, meant)):
            continue
        yield from (_misplaced(snapshot, remote, secret) for secret in meant)
        if not meant:
            yield _missing(snapshot, remote)


def _missing(snapshot: Snapshot, remote: ClusterSnapshot) -> Failure:
    host = snapshot.host
    return Failure(
        clusters=(remote.name,),
        object=f"Secret {ISTIO_NAMESPACE}/{REMOTE_SECRET_PREFIX}{remote.name}",
        evidence=(f"no Secret of {host.name}, in any namespace, is a remote secret of it",),
        cause=f"the remote secret of {remote.name} was deleted, or never made: the istiod of "
        f"{host.name} does not read the cluster, so it serves none of its endpoints",
        fix=up(snapshot),
    )


def _misplaced(snapshot: Snapshot, remote: ClusterSnapshot, secret: RemoteSecretFacts) -> Failure:
    host, label = snapshot.host.name, "true" if secret.labelled else "missing, or not true"
    words = f"-n {ISTIO_NAMESPACE} label secret {secret.name} {LABEL} --overwrite"
    fix = kubectl(host, words)
    if secret.namespace != ISTIO_NAMESPACE:
        delete = kubectl(host, f"-n {secret.namespace} delete secret {secret.name}")
        fix = f"{up(snapshot)}\n{delete}"
    return Failure(
        clusters=(remote.name,),
        object=name_of_secret(secret),
        evidence=(
            f"namespace in {host}: {secret.namespace}, where istiod reads {ISTIO_NAMESPACE}",
            f"label istio/multiCluster: {label}",
            f"key, the cluster's ID for istiod: {secret.key}",
        ),
        cause=f"istiod reads Secrets of {ISTIO_NAMESPACE} with the label {LABEL} alone",
        fix=fix,
    )


def _bad_content(snapshot: Snapshot) -> Iterator[Failure]:
    for secret in snapshot.host.remote_secrets:
        if not (is_placed(secret) and secret.error):
            continue
        name = cluster_name(snapshot, secret)
        ours = secret.name == f"{REMOTE_SECRET_PREFIX}{name}"
        words = f"-n {secret.namespace} delete secret {secret.name}"
        yield Failure(
            clusters=(name,),
            object=name_of_secret(secret),
            evidence=(f"content of its key {secret.key}: {secret.error}",),
            cause="the content is no kubeconfig from which istiod can make a client",
            fix=up(snapshot) if ours else kubectl(snapshot.host.name, words),
        )


def _other_annotation(snapshot: Snapshot) -> Iterator[Failure]:
    for secret in snapshot.host.remote_secrets:
        if not is_read(secret) or secret.annotation in ("", secret.key):
            continue
        words = f"{ANNOTATION}={secret.key} --overwrite"
        words = f"-n {secret.namespace} annotate secret {secret.name} {words}"
        yield Failure(
            clusters=(cluster_name(snapshot, secret),),
            object=name_of_secret(secret),
            evidence=(f"annotation {ANNOTATION}: {secret.annotation}", f"key: {secret.key}"),
            cause="the annotation names another cluster than the key, by which istiod goes: the "
            "Secret was copied or renamed by hand",
            fix=kubectl(snapshot.host.name, words),
            severity="warning",
        )


@analyzer("F08", "Two remote secrets claim one cluster, or the host has one for itself")
def claimed_twice(snapshot: Snapshot) -> Iterator[Failure]:
    """A cluster is registered twice, or which of two Secrets counts is left to chance."""
    host = snapshot.host
    read = [s for s in host.remote_secrets if is_read(s)] if secrets_are_known(host) else []
    for secret in read:
        if secret.key == host.name or (host.uid and secret.login.uid == host.uid):
            yield _of_itself(snapshot, secret)
    others = [s for s in read if not (host.uid and s.login.uid == host.uid)]
    for key, same in _grouped((s.key, s) for s in others if s.key != host.name).items():
        if len(same) > 1:
            yield _same_key(snapshot, key, same)
    for same in _grouped((s.login.uid, s) for s in others if s.login.uid).values():
        if len({s.key for s in same}) > 1:
            yield _same_cluster(snapshot, same)


def _grouped(pairs: Iterator[tuple[str, RemoteSecretFacts]]) -> dict[str, list[RemoteSecretFacts]]:
    found = defaultdict(list)
    for name, secret in pairs:
        found[name].append(secret)
    return found


def _of_itself(snapshot: Snapshot, secret: RemoteSecretFacts) -> Failure:
    host, uid = snapshot.host, secret.login.uid
    own_key, own_api = secret.key == host.name, bool(host.uid) and uid == host.uid
    evidence = [f"key: {secret.key}, server: {secret.server}"]
    if own_api:
        evidence.append(f"kube-system UID there: {uid}, the same as the one of {host.name}")
    twice = f"istiod registers {host.name} a second time, as {secret.key}: each of its pods counts"
    ignored = "istiod ignores the ID of its own cluster: this Secret has no effect"
    if not own_api and uid:
        ignored = f"{ignored}, so the cluster to which it leads is not read"
    return Failure(
        clusters=(host.name,),
        object=name_of_secret(secret),
        evidence=tuple(evidence),
        cause=ignored if own_key else f"{twice} twice",
        fix=kubectl(host.name, f"-n {secret.namespace} delete secret {secret.name}"),
        severity="warning" if own_key and (own_api or not uid) else "error",
    )


def _same_key(snapshot: Snapshot, key: str, same: list[RemoteSecretFacts]) -> Failure:
    names = {s.name for s in same}
    alike = len({s.login.uid for s in same}) == 1 and all(s.login.status == 201 for s in same)
    return Failure(
        clusters=(cluster_name(snapshot, same[0]),),
        object=" and ".join(sorted(map(name_of_secret, same))),
        evidence=tuple(_line(s) for s in same),
        cause=f"the cluster ID {key} is in {len(names)} Secrets: istiod takes the one that it "
        "meets first, and ignores the other, also when that one is renewed",
        fix=_delete_others(snapshot, same),
        severity="warning" if alike else "error",
    )


def _same_cluster(snapshot: Snapshot, same: list[RemoteSecretFacts]) -> Failure:
    keys = " and ".join(sorted({s.key for s in same}))
    return Failure(
        clusters=(cluster_name(snapshot, same[0]),),
        object=" and ".join(sorted(map(name_of_secret, same))),
        evidence=tuple(_line(s) for s in same),
        cause=f"one cluster (one kube-system UID) is registered as {keys}: each of its pods is an "
        "endpoint twice, and its proxies belong to one of the two IDs alone",
        fix=_delete_others(snapshot, same),
    )


def _line(secret: RemoteSecretFacts) -> str:
    uid = secret.login.uid or "not told"
    said = f"{name_of_secret(secret)}: key {secret.key}, server {secret.server}"
    return f"{said}, kube-system UID {uid}"


def _delete_others(snapshot: Snapshot, same: list[RemoteSecretFacts]) -> str:
    """Return the commands that delete all but the one that Isthmus makes, else but the newest."""
    names = {f"{REMOTE_SECRET_PREFIX}{c.name}" for c in snapshot.remotes}
    kept = max(same, key=lambda s: (s.name in names, s.login.status == 201, s.written_at or 0.0))
    words = [f"-n {s.namespace} delete secret {s.name}" for s in same if s.name != kept.name]
    if not words:  # two keys in one Secret: made anew it has one
        words = [f"-n {kept.namespace} delete secret {kept.name}"]
        return f"{kubectl(snapshot.host.name, words[0])}\n{up(snapshot)}"
    return "\n".join(kubectl(snapshot.host.name, each) for each in words)


ANALYZERS = (secret_not_read, claimed_twice)
