"""Pods without a sidecar or without mutual TLS: other networks cannot reach them by SNI."""

import json
from collections.abc import Iterator

from isthmus.diagnosis import pods
from isthmus.diagnosis.fields import dig
from isthmus.diagnosis.finding import Failure, analyzer, kubectl
from isthmus.diagnosis.load_balancing import DESTINATION_RULES, edit, policy_in_force
from isthmus.diagnosis.missing_sidecar import TLS_MODE, has_proxy, why_not_injected
from isthmus.diagnosis.objects import full_name, labels_of, name_of, namespace_of
from isthmus.diagnosis.peer_authentication import peer_mode
from isthmus.diagnosis.services import (
    MeshService,
    callers,
    pods_of,
    reachable,
    service_in,
    services,
    target_ports,
)
from isthmus.diagnosis.snapshot import ClusterSnapshot, Object, Snapshot

DROPPED = (
    "traffic between networks is told apart by the SNI of mutual TLS, so istiod leaves endpoints "
    "without it out of what other networks get"
)
"""istio pilot/pkg/xds/endpoints/ep_filters.go, isMtlsEnabled."""


@analyzer("F28", "Pods without a sidecar or mutual TLS are left out of cross-network traffic")
def left_out(snapshot: Snapshot) -> Iterator[Failure]:
    """Find backends, callers and rules that take a service out of the mesh's mutual TLS."""
    for service in services(snapshot):
        for cluster in reachable(snapshot):
            yield from _backends(snapshot, cluster, service)
        yield from _by_destination_rule(snapshot, service)
        yield from _by_peer_authentication(snapshot, service)
    for cluster in reachable(snapshot):
        yield from _callers(snapshot, cluster)


def _backends(
    snapshot: Snapshot, cluster: ClusterSnapshot, service: MeshService
) -> Iterator[Failure]:
    chosen = pods.ready(pods_of(cluster, service))
    plain = [p for p in chosen if labels_of(p).get(TLS_MODE) != "istio" or not has_proxy(p)]
    if not plain:
        return
    why, fix, sure = why_not_injected(snapshot, cluster, plain[0])
    yield Failure(
        (cluster.name,),
        (
            f"{len(plain)} of {len(chosen)} ready pods of {service.text} take no mutual TLS",
            *(f"{full_name(pod)}: {_lack(pod)}" for pod in plain),
        ),
        f"{why}; {DROPPED}",
        fix,
        object=service.text,
        severity="error" if len(plain) == len(chosen) else "warning",
        certain=sure,
    )


def _lack(pod: Object) -> str:
    if not has_proxy(pod):
        return "no container istio-proxy"
    return f"label {TLS_MODE} is {labels_of(pod).get(TLS_MODE, 'absent')}"


def _callers(snapshot: Snapshot, cluster: ClusterSnapshot) -> Iterator[Failure]:
    plain = [pod for pod in pods.ready(callers(cluster)) if not has_proxy(pod)]
    if plain:
        why, fix, sure = why_not_injected(snapshot, cluster, plain[0])
        yield Failure(
            (cluster.name,),
            tuple(f"{full_name(pod)}: {_lack(pod)}" for pod in plain),
            f"{why}; without Envoy its requests go to a Service's address in its own cluster alone",
            fix,
            object=full_name(plain[0]),
            certain=sure,
        )


def _by_destination_rule(snapshot: Snapshot, service: MeshService) -> Iterator[Failure]:
    rule, policy = policy_in_force(snapshot, service)
    tls = policy.get("tls")
    mode = str(tls.get("mode") or "DISABLE") if isinstance(tls, dict) else ""
    if rule and mode not in ("", "ISTIO_MUTUAL"):
        yield _other_tls(snapshot, service, rule, mode)


def _other_tls(snapshot: Snapshot, service: MeshService, rule: Object, mode: str) -> Failure:
    name = f"-n {namespace_of(rule)} patch {DESTINATION_RULES} {name_of(rule)}"
    fix = f"""{name} --type=json -p '[{{"op":"remove","path":"/spec/trafficPolicy/tls"}}]'"""
    whole = dig(rule, "spec", "trafficPolicy", "tls") is not None
    return Failure(
        (snapshot.host.name,),
        (f"{full_name(rule)}: tls mode {mode} for {service.host}",),
        f"callers are told to use {mode} in place of Istio's mutual TLS; {DROPPED}",
        kubectl(snapshot.host.name, fix) if whole else edit(snapshot, rule),
        object=full_name(rule),
    )


def _by_peer_authentication(snapshot: Snapshot, service: MeshService) -> Iterator[Failure]:
    found: dict[str, tuple[Object, int, list[str]]] = {}
    for cluster in reachable(snapshot):
        for pod in pods_of(cluster, service):
            for port in target_ports(service_in(cluster, service), pod):
                told = peer_mode(snapshot, pod, port)
                if told.mode == "DISABLE" and told.rule:
                    known = found.setdefault(full_name(told.rule), (told.rule, port, []))
                    known[2].append(cluster.name)
    for rule, port, names in found.values():
        mild, at = {"mode": "PERMISSIVE"}, str(port)
        per_port = dig(rule, "spec", "portLevelMtls", at) is not None
        spec = {"portLevelMtls": {at: mild}} if per_port else {"mtls": mild}
        name = (
            f"-n {namespace_of(rule)} patch peerauthentications.security.istio.io {name_of(rule)}"
        )
        fix = f"{name} --type=merge -p '{json.dumps({'spec': spec})}'"
        yield Failure(
            (snapshot.host.name,),
            (
                f"{full_name(rule)}: mode DISABLE at port {port} of {service.text}",
                f"it holds for pods in {', '.join(dict.fromkeys(names))}",
            ),
            f"the pods' sidecars take no mutual TLS there; {DROPPED}",
            kubectl(snapshot.host.name, fix),
            object=full_name(rule),
        )


ANALYZERS = (left_out,)
