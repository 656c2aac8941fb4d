"""Whether all who name a cluster to istiod give it the same ID."""

import re
from collections.abc import Iterator, Sequence

from isthmus.diagnosis.fields import dig, mappings
from isthmus.diagnosis.finding import Failure, analyzer, kubectl
from isthmus.diagnosis.objects import environment_of, full_name, listed
from isthmus.diagnosis.pods import alive, restart
from isthmus.diagnosis.services import stack_of, up
from isthmus.diagnosis.snapshot import ClusterSnapshot, Object, RemoteSecretFacts, Snapshot
from isthmus.diagnosis.wiring import is_read, name_of_secret, secrets_are_known, secrets_of
from isthmus.environment.namespaces import ISTIO_NAMESPACE

PROXY = "istio-proxy"
VARIABLE = "ISTIO_META_CLUSTER_ID"
PATH = re.compile(r"/inject/cluster/([^/]+)(?:/|$)")
"""How a webhook tells the injector of another cluster whose pod it is (istio
pkg/kube/inject/webhook.go, parseInjectEnvs)."""
SHOWN = 5
Told = dict[str, list[str]]
"""ID -> who gives it, and of each where."""


@analyzer("F07", "A cluster's ID is not the same everywhere")
def ids_differ(snapshot: Snapshot) -> Iterator[Failure]:
    """Proxies, injector and remote secret name one cluster differently.

    istiod looks for a proxy's token review in the cluster that the proxy names, among those of its
    remote secrets (security/pkg/server/ca/authenticate/kubeauth/kube_jwt.go, getKubeClient).
    """
    led = secrets_of(snapshot) if secrets_are_known(snapshot.host) else {}
    for cluster in snapshot.clusters:
        told = _told(snapshot, cluster, led.get(cluster.name, []))
        if len(told) > 1:
            yield _differ(snapshot, cluster, told)


def _told(
    snapshot: Snapshot, cluster: ClusterSnapshot, secrets: Sequence[RemoteSecretFacts]
) -> Told:
    """Return the IDs of a cluster; of several remote secrets those that agree with the rest."""
    told: Told = {}
    for injected, who in (
        *_injected(cluster),
        *_proxies(cluster),
        *_control_plane(snapshot, cluster),
    ):
        told.setdefault(injected, []).append(who)
    keys = [] if cluster.host else list(_keys(snapshot, secrets))
    agreeing = [pair for pair in keys if pair[0] in told]
    for key, who in agreeing or keys:
        told.setdefault(key, []).append(who)
    return told


def _keys(snapshot: Snapshot, secrets: Sequence[RemoteSecretFacts]) -> Iterator[tuple[str, str]]:
    for secret in secrets:
        if is_read(secret):
            yield secret.key, f"the key of {name_of_secret(secret)} in {snapshot.host.name}"


def _injected(cluster: ClusterSnapshot) -> Iterator[tuple[str, str]]:
    for configuration in listed(cluster, "MutatingWebhookConfiguration"):
        for hook in mappings(configuration.get("webhooks")):
            client = hook.get("clientConfig")
            path = str(dig(client, "service", "path") or dig(client, "url") or "")
            service = str(dig(client, "service", "name") or "istiod")
            if service.startswith("istiod") and (match := PATH.search(path)):
                yield match[1], f"the path of {full_name(configuration)}"


def _proxies(cluster: ClusterSnapshot) -> Iterator[tuple[str, str]]:
    for pod in alive(cluster):
        if given := environment_of(pod, PROXY).get(VARIABLE):
            yield given, f"{VARIABLE} of {full_name(pod)}"


def _control_plane(snapshot: Snapshot, cluster: ClusterSnapshot) -> Iterator[tuple[str, str]]:
    stack = stack_of(snapshot)
    if cluster.host or (stack is not None and stack.istiod_in_remotes):
        for istiod in cluster.istiods:
            if given := istiod.env.get("CLUSTER_ID"):
                yield given, f"CLUSTER_ID of Pod {ISTIO_NAMESPACE}/{istiod.pod}"


def _differ(snapshot: Snapshot, cluster: ClusterSnapshot, told: Told) -> Failure:
    meant = cluster.name if cluster.name in told else max(told, key=lambda i: len(told[i]))
    evidence = []
    for cluster_id, who in told.items():
        said = list(dict.fromkeys(who))
        more = f" and {len(said) - SHOWN} more" if len(said) > SHOWN else ""
        evidence.append(f"{cluster_id}: {', '.join(said[:SHOWN])}{more}")
    evidence += _refusals(snapshot, set(told) - {meant})
    wrong = [p for p in alive(cluster) if environment_of(p, PROXY).get(VARIABLE, meant) != meant]
    others = [who for i, said in told.items() if i != meant for who in said]
    from_pods_alone = all(who.startswith(VARIABLE) for who in others)
    return Failure(
        clusters=(cluster.name,),
        object=full_name(wrong[0]) if from_pods_alone and wrong else "",
        evidence=tuple(evidence),
        cause=_cause(from_pods_alone, meant),
        fix=_fix(snapshot, cluster, wrong, from_pods_alone),
    )


def _cause(from_pods_alone: bool, meant: str) -> str:
    if from_pods_alone:
        return (
            f"these pods were injected while the cluster had another ID than {meant}: istiod "
            "finds no cluster of the ID that they give, and refuses them certificates"
        )
    return (
        "clusterName, the injector's path and the key of the remote secret were set apart: istiod "
        "finds no cluster of the ID that proxies give, and refuses them certificates"
    )


def _fix(
    snapshot: Snapshot, cluster: ClusterSnapshot, wrong: list[Object], from_pods_alone: bool
) -> str:
    commands = {kubectl(cluster.name, restart(cluster, pod)): None for pod in wrong}
    first = [] if from_pods_alone else [*_delete_keys(snapshot, cluster), up(snapshot)]
    return "\n".join([*first, *list(commands)[:SHOWN]])


def _delete_keys(snapshot: Snapshot, cluster: ClusterSnapshot) -> Iterator[str]:
    """Yield what removes remote secrets with another key: `up` makes one with the right key."""
    for secret in secrets_of(snapshot).get(cluster.name, []):
        if secret.key != cluster.name and is_read(secret) and not cluster.host:
            words = f"-n {secret.namespace} delete secret {secret.name}"
            yield kubectl(snapshot.host.name, words)


def _refusals(snapshot: Snapshot, strange: set[str]) -> list[str]:
    """Return the last line of istiod's log in which it says that it knows no such cluster."""
    lines = [
        line
        for istiod in snapshot.host.istiods
        for line in istiod.log
        if "claims to be in cluster" in line and any(f'"{name}"' in line for name in strange)
    ]
    return [f"istiod's log: {lines[-1][:300]}"] if lines else []


ANALYZERS = (ids_differ,)
