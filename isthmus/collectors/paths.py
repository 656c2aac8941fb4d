"""From inside a pod of each cluster to every other one: name, TCP, TLS, and who answers."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from isthmus import polling
from isthmus.adapters import pod_dial, pod_tls
from isthmus.adapters.kube import Kube
from isthmus.collectors import questions
from isthmus.diagnosis.certificate_facts import facts_of_der
from isthmus.diagnosis.gateway_facts import balancer_addresses, ip
from isthmus.diagnosis.objects import (
    has_running_proxy,
    is_ready,
    labelled,
    labels_of,
    listed,
    name_of,
)
from isthmus.diagnosis.objects import namespace_of as space_of
from isthmus.diagnosis.snapshot import ClusterSnapshot, Object, RemoteSecretFacts, TlsProbe
from isthmus.environment.namespaces import ISTIO_NAMESPACE, ISTIOD_SAN, SAMPLE_NAMESPACE
from isthmus.errors import IsthmusError
from isthmus.stacks import GatewayNames
from isthmus.verification.answers import GATEWAY_CLUSTER

LIMIT = 3.0
"""Seconds that a connection may take, and a handshake: SYN is sent twice in them (RFC 6298)."""
ISTIO_ALPN = ("istio",)
"""What a sidecar offers; a gateway hands on nothing else (istio pilot core/gateway.go,
allIstioMtlsALPNs)."""
ISTIOD_PORT = 15012
WEBHOOK_PORT = 443
"""Of the Service istiod; it leads to 15017 (istio.io, Ports used by Istio)."""
PARALLEL = 8


@dataclass(frozen=True)
class Asker:
    """A pod in which one can dial as its Envoy does."""

    client: Kube
    cluster: str
    pod: pod_dial.Pod


@dataclass(frozen=True)
class Way:
    """What is to be tried."""

    target: str
    purpose: str
    host: str
    port: int
    server_name: str
    alpn: tuple[str, ...] = ()


def asker(client: Kube, cluster: ClusterSnapshot) -> Asker | None:
    """Return a running proxy's container, the caller's if there is one; its user is not redirected.

    Source: istio-iptables leaves alone what the user 1337 sends (tools/istio-iptables).
    """
    alive = [p for p in listed(cluster, "Pod") if has_running_proxy(p)]
    best = min(alive, key=_preference, default=None)
    if not best:
        return None
    return Asker(client, cluster.name, pod_dial.Pod(space_of(best), name_of(best), "istio-proxy"))


def _preference(pod: Object) -> tuple[bool, bool, bool, str]:
    labels = labels_of(pod)
    ours = space_of(pod) in (SAMPLE_NAMESPACE, ISTIO_NAMESPACE)
    return labels.get("app") != "sleep", not is_ready(pod), not ours, name_of(pod)


def probe(
    askers: list[Asker], clusters: list[ClusterSnapshot], gateway: GatewayNames, parallel: int
) -> list[TlsProbe]:
    """Return what came of each way between these clusters, host first; so many at a time."""
    host = clusters[0].name
    wanted = [
        (one, way)
        for one in askers
        for cluster in clusters
        for way in _ways(one.cluster, cluster, host, gateway)
    ]
    return questions.in_parallel(lambda item: _try(*item), wanted, parallel)


def addresses(cluster: ClusterSnapshot, gateway: GatewayNames) -> list[str]:
    """Return every address or host name of a cluster's gateway."""
    key, _, value = gateway.selector.partition("=")
    services = labelled(cluster, "Service", {key: value}, ISTIO_NAMESPACE)
    return [address for service in services for address in balancer_addresses(service)]


def _ways(asking: str, cluster: ClusterSnapshot, host: str, gateway: GatewayNames) -> Iterator[Way]:
    if asking == cluster.name:
        return
    for address in addresses(cluster, gateway):
        yield Way(cluster.name, "gateway", address, gateway.port, GATEWAY_CLUSTER, ISTIO_ALPN)
    if cluster.name == host:
        yield Way(host, "istiod", ISTIOD_SAN, ISTIOD_PORT, ISTIOD_SAN, ("h2",))
        yield Way(host, "webhook", ISTIOD_SAN, WEBHOOK_PORT, ISTIOD_SAN)


def api_servers(asking: Asker, secrets_of_host: ClusterSnapshot) -> list[TlsProbe]:
    """Return what the host's pods get at the API server of each remote secret."""
    ways = [way for s in secrets_of_host.remote_secrets if (way := _to_api_server(s))]
    return questions.in_parallel(lambda way: _try(asking, way), ways, PARALLEL)


def _to_api_server(secret: RemoteSecretFacts) -> Way | None:
    """Return the way to a remote secret's server; None if its URL is none, or leads by a proxy."""
    try:
        parts = urlsplit(secret.server)
        host, port = parts.hostname, parts.port or 443
    except ValueError:
        return None
    if parts.scheme != "https" or not host or secret.proxy_url:
        return None
    return Way(secret.key, "api-server", host, port, secret.tls_server_name or host)


def _try(asking: Asker, way: Way) -> TlsProbe:
    known = TlsProbe(
        source=asking.cluster,
        source_pod=asking.pod.text,
        target=way.target,
        purpose=way.purpose,
        host=way.host,
        port=way.port,
        server_name=way.server_name,
        alpn=way.alpn,
    )
    if polling.is_out_of_time():
        return known.model_copy(update={"skipped": questions.OUT_OF_TIME})
    try:
        return _tried(asking, way, known)
    except IsthmusError as error:
        polling.raise_if_stopped()
        return known.model_copy(update={"skipped": error.message})
    except Exception as error:  # whoever answers may present anything
        return known.model_copy(update={"skipped": f"{type(error).__name__}: {error}"})


def _tried(asking: Asker, way: Way, known: TlsProbe) -> TlsProbe:
    """Return what came of a way: at once by TLS where no name is to be resolved before.

    Only where that fails it is worth another command to see how far it came.
    """
    shaken = None
    if ip(way.host):
        begun = time.monotonic()
        shaken = _shake(asking, way, way.host)
        if not shaken.error and not shaken.missing:
            seconds = round(time.monotonic() - begun, 2)
            found = {"resolved": (way.host,), "connected": True, "seconds": seconds}
            return known.model_copy(update=found | _shown(shaken))
    dialled = pod_dial.dial(asking.client, asking.pod, way.host, way.port, LIMIT)
    if dialled.missing:
        skipped = f"{asking.pod.text} {pod_dial.NO_PROGRAM}"
        return known.model_copy(update={"skipped": skipped})
    found = {
        "resolved": (dialled.address,) if dialled.address else (),
        "connected": dialled.connected,
        "error": dialled.error,
        "error_at": dialled.error_at,
        "seconds": dialled.seconds,
    }
    if not dialled.connected:
        return known.model_copy(update=found)
    shaken = shaken or _shake(asking, way, dialled.address or way.host)
    if shaken.missing:
        skipped = f"TLS not tried: {asking.pod.text} has no netcat"
        return known.model_copy(update=found | {"skipped": skipped})
    return known.model_copy(update=found | _shown(shaken))


def _shake(asking: Asker, way: Way, address: str) -> pod_tls.Handshake:
    return pod_tls.handshake(
        asking.client, asking.pod, address, way.port, way.server_name, way.alpn, LIMIT
    )


def _shown(shaken: pod_tls.Handshake) -> dict[str, Any]:
    return {
        "error": shaken.error,
        "error_at": "tls" if shaken.error else "",
        "certificates": facts_of_der(shaken.chain),
        "alpn_selected": shaken.alpn,
        "wants_client_certificate": shaken.wants_client_certificate,
    }
