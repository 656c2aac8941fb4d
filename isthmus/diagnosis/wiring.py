"""Which cluster a remote secret is for, and whether istiod reads it."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

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


@dataclass(frozen=True)
class Owners:
    """The clusters by all that a remote secret may name one by; the first of several."""

    by_uid: Mapping[str, ClusterSnapshot]
    by_name: Mapping[str, ClusterSnapshot]
    by_url: Mapping[str, ClusterSnapshot]

    def of(self, secret: RemoteSecretFacts) -> ClusterSnapshot | None:
        """Return the cluster that a secret leads to: by who answered, then key, then URL."""
        found = self.by_uid.get(secret.login.uid) or self.by_name.get(secret.key)
        return found or self.by_url.get(secret.server.rstrip("/"))


def owners(snapshot: Snapshot) -> Owners:
    """Return by what clusters are known: made once where there are many secrets to look at."""
    clusters = snapshot.clusters[::-1]
    return Owners(
        {c.uid: c for c in clusters if c.uid},
        {c.name: c for c in clusters},
        {c.server.rstrip("/"): c for c in clusters if c.server},
    )


def owner(snapshot: Snapshot, secret: RemoteSecretFacts) -> ClusterSnapshot | None:
    """Return the cluster that a remote secret leads to."""
    return owners(snapshot).of(secret)


def secrets_of(snapshot: Snapshot) -> dict[str, list[RemoteSecretFacts]]:
    """Return the host's remote secrets by the name of the cluster that each leads to."""
    known = owners(snapshot)
    found: dict[str, list[RemoteSecretFacts]] = {}
    for secret in snapshot.host.remote_secrets:
        if cluster := known.of(secret):
            found.setdefault(cluster.name, []).append(secret)
    return found


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


def api_probes(
    snapshot: Snapshot, secrets: Iterable[RemoteSecretFacts]
) -> Iterator[tuple[RemoteSecretFacts, list[TlsProbe]]]:
    """Yield each remote secret, and what the host's pods met at its API server, where tried."""
    known, tried = owners(snapshot), dict[str, list[TlsProbe]]()
    for probe in snapshot.probes:
        if probe.purpose == "api-server" and not probe.skipped:
            tried.setdefault(probe.target, []).append(probe)
    for secret in secrets:
        found, server = known.of(secret), secret.server.lower()
        names = dict.fromkeys((secret.key, found.name if found else secret.key))
        yield secret, [p for n in names for p in tried.get(n, ()) if p.host.lower() in server]


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
