"""Which cluster a remote secret is for, and whether istiod reads it."""

from collections.abc import Iterator

from isthmus.diagnosis.finding import kubectl
from isthmus.diagnosis.objects import find, was_listed
from isthmus.diagnosis.services import up
from isthmus.diagnosis.snapshot import (
    ClusterSnapshot,
    IstiodSnapshot,
    Object,
    RemoteSecretFacts,
    Snapshot,
    TlsProbe,
    TokenFacts,
)
from isthmus.environment.namespaces import ISTIO_NAMESPACE, REMOTE_SECRET_PREFIX

READER = "istio-reader-service-account"
OWN_TOKEN = f"{READER}-isthmus"
"""The Secret of a token without an end that Isthmus makes (templates/wiring/token.yaml.j2)."""
ACCOUNT = "system:serviceaccount:"

SYNCED = "synced"
"""The word of /debug/clusterz (istio pkg/kube/multicluster/cluster.go)."""
FILES = "PILOT_MULTICLUSTER_KUBECONFIG_PATH"
"""With it istiod reads kubeconfigs from files, and no Secret (secretcontroller.go)."""


def name_of_secret(secret: RemoteSecretFacts) -> str:
    """Return `Secret namespace/name`."""
    return f"Secret {secret.namespace}/{secret.name}"


def owner(snapshot: Snapshot, secret: RemoteSecretFacts) -> ClusterSnapshot | None:
    """Return the cluster that a remote secret leads to: by who answered, then key, then URL."""
    clusters, login = snapshot.clusters, secret.login
    by_uid = [c for c in clusters if c.uid and c.uid == login.uid]
    by_key = [c for c in clusters if c.name == secret.key]
    by_url = [c for c in clusters if c.server and c.server.rstrip("/") == secret.server.rstrip("/")]
    return next(iter([*by_uid, *by_key, *by_url]), None)


def cluster_name(snapshot: Snapshot, secret: RemoteSecretFacts) -> str:
    """Return the name of the cluster that a remote secret leads to, else its key."""
    found = owner(snapshot, secret)
    return found.name if found else secret.key


def is_placed(secret: RemoteSecretFacts) -> bool:
    """Tell whether istiod looks at a Secret: by its namespace and its label."""
    return secret.namespace == ISTIO_NAMESPACE and secret.labelled


def is_read(secret: RemoteSecretFacts) -> bool:
    """Tell whether istiod makes a cluster of a Secret."""
    return is_placed(secret) and not secret.error


def secrets_are_known(host: ClusterSnapshot) -> bool:
    """Tell whether the host told its remote secrets, and istiod goes by them."""
    by_files = any(istiod.env.get(FILES) for istiod in host.istiods)
    return host.reachable and "remote secrets" not in host.errors and not by_files


def has_mesh(cluster: ClusterSnapshot) -> bool:
    """Tell whether a cluster has Istio's namespace; one that did not tell may have it."""
    return not was_listed(cluster, "Namespace") or bool(find(cluster, "Namespace", ISTIO_NAMESPACE))


def clusterz(istiod: IstiodSnapshot, key: str) -> Object | None:
    """Return what a replica says of a cluster in /debug/clusterz, None if it has none."""
    return next((c for c in istiod.clusters or [] if c.get("id") == key), None)


def is_synced(snapshot: Snapshot, key: str) -> bool:
    """Tell whether every replica that was asked has read a cluster whole."""
    told = [istiod for istiod in snapshot.host.istiods if istiod.clusters is not None]
    states = [(clusterz(istiod, key) or {}).get("syncStatus") for istiod in told]
    return bool(states) and all(state == SYNCED for state in states)


def api_probes(snapshot: Snapshot, secret: RemoteSecretFacts) -> Iterator[TlsProbe]:
    """Yield what the host's pods met at the API server of a remote secret, if that was tried."""
    found = owner(snapshot, secret)
    names = {secret.key} | ({found.name} if found else set())
    for probe in snapshot.probes:
        meant = probe.purpose == "api-server" and probe.target in names
        if meant and not probe.skipped and probe.host.lower() in secret.server.lower():
            yield probe


def read_secrets(snapshot: Snapshot) -> list[RemoteSecretFacts]:
    """Return the remote secrets that the host's istiod reads; it ignores one with its own ID."""
    host = snapshot.host
    found = [s for s in host.remote_secrets if is_read(s) and s.key != host.name]
    return found if secrets_are_known(host) else []


def renew(snapshot: Snapshot, secret: RemoteSecretFacts) -> str:
    """Return how a token is made anew: one that exists is never replaced by itself."""
    found = owner(snapshot, secret)
    if found is None or found.host:
        delete = f"-n {secret.namespace} delete secret {secret.name}"
        return kubectl(snapshot.host.name, delete)
    words = f"-n {ISTIO_NAMESPACE} delete secret {OWN_TOKEN} --ignore-not-found"
    lines = [kubectl(found.name, words)]
    if secret.name != f"{REMOTE_SECRET_PREFIX}{found.name}":  # else the key would be there twice
        delete = f"-n {secret.namespace} delete secret {secret.name}"
        lines.append(kubectl(snapshot.host.name, delete))
    return "\n".join([*lines, up(snapshot)])


def is_over(token: TokenFacts | None, now: float) -> bool:
    """Tell whether a token has an end, and that is past."""
    return bool(token and token.expires_at is not None and token.expires_at <= now)
