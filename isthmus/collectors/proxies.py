"""What Envoys know, count and trust: the gateways, and sidecars up to a bound."""

import base64
import json
from collections.abc import Iterator
from functools import partial
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm

from isthmus.adapters import envoy
from isthmus.adapters.diff import Manifest
from isthmus.adapters.kube import Kube
from isthmus.collectors import questions
from isthmus.collectors.istiod import version_of
from isthmus.diagnosis.certificate_facts import facts_of_pem
from isthmus.diagnosis.objects import (
    environment_of,
    has_running_proxy,
    labels_of,
    name_of,
    namespace_of,
)
from isthmus.diagnosis.snapshot import CertificateFacts, Object, ProxyEndpoint, ProxySnapshot
from isthmus.environment.namespaces import SAMPLE_NAMESPACE
from isthmus.errors import NotReady

PROXY = "istio-proxy"
LIMIT = 24
"""Sidecars of one cluster that are asked; the sample's come first, then others, by namespace."""
QUESTIONS = {
    "clusters": envoy.ENDPOINTS,
    "secrets": "/config_dump?resource=dynamic_active_secrets",
    "node": "/server_info",
}
"""Envoy's administration interface (envoyproxy.io, Administration interface)."""


def collect(
    client: Kube, gateway: str, pods: list[Manifest], hosts: frozenset[str]
) -> tuple[list[ProxySnapshot], int]:
    """Return what proxies say, and how many sidecars were not asked.

    `gateway` is the gateways' label `key=value`; `hosts` are the names of the services that are
    looked at, whose endpoints are kept.
    """
    key, _, value = gateway.partition("=")
    alive = [pod for pod in pods if has_running_proxy(pod)]
    gateways = [pod for pod in alive if labels_of(pod).get(key) == value]
    rest = [pod for pod in alive if pod not in gateways and "istio" not in labels_of(pod)]
    sidecars = sorted(rest, key=_order)
    asked = [(pod, "gateway") for pod in gateways] + [(pod, "sidecar") for pod in sidecars[:LIMIT]]
    found = questions.in_parallel(lambda one: _proxy(client, *one, hosts), asked)
    return found, max(0, len(sidecars) - LIMIT)


def _order(pod: Manifest) -> tuple[bool, str, str]:
    return namespace_of(pod) != SAMPLE_NAMESPACE, namespace_of(pod), name_of(pod)


def _proxy(client: Kube, pod: Manifest, kind: str, hosts: frozenset[str]) -> ProxySnapshot:
    texts, errors = questions.ask({"": partial(_admin, client, pod)})
    found, unreadable = questions.ask(
        {what: partial(_parsed, pod, what, text) for what, text in texts.get("", {}).items()}, 1
    )
    errors = {what: errors[""] for what in QUESTIONS if errors} | unreadable
    node = _metadata(found.get("node"))
    leaf, roots = _certificates(found.get("secrets"))
    view = node.get("REQUESTED_NETWORK_VIEW")
    return ProxySnapshot(
        pod=name_of(pod),
        namespace=namespace_of(pod),
        kind=kind,
        app=labels_of(pod).get("app", ""),
        env=environment_of(pod, PROXY),
        version=version_of(str(node.get("ISTIO_VERSION") or "")),
        cluster_id=str(node.get("CLUSTER_ID") or ""),
        network=str(node.get("NETWORK") or ""),
        requested_network_view=_view(view) if "clusters" in found and node else None,
        leaf=leaf,
        roots=roots,
        endpoints=dict(_endpoints(found.get("clusters"), hosts)),
        errors=errors,
    )


def _admin(client: Kube, pod: Manifest) -> dict[str, str]:
    texts = envoy.ask_admin_paths(client, pod, list(QUESTIONS.values()))
    return dict(zip(QUESTIONS, texts, strict=True))


def _parsed(pod: Manifest, what: str, text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        raise NotReady(f"{name_of(pod)}: {QUESTIONS[what]}: no JSON: {text[:120]}") from None


def _metadata(info: Any) -> Object:
    node = info.get("node", {}) if isinstance(info, dict) else {}
    found = node.get("metadata", {})
    return found if isinstance(found, dict) else {}


def _view(value: Any) -> tuple[str, ...] | None:
    if not value:
        return None
    names = value.split(",") if isinstance(value, str) else value
    return tuple(map(str, names))


def _certificates(dump: Any) -> tuple[tuple[CertificateFacts, ...], tuple[CertificateFacts, ...]]:
    """Return the leaf with its chain and the roots, as Envoy got them by SDS."""
    leaf: tuple[CertificateFacts, ...] = ()
    roots: tuple[CertificateFacts, ...] = ()
    for config in dump.get("configs", []) if isinstance(dump, dict) else []:
        secret = config.get("secret", {})
        if config.get("name") == "default":
            leaf = _pem(secret.get("tls_certificate", {}).get("certificate_chain"))
        if config.get("name") == "ROOTCA":
            roots = _pem(secret.get("validation_context", {}).get("trusted_ca"))
    return leaf, roots


def _pem(source: Any) -> tuple[CertificateFacts, ...]:
    try:
        return facts_of_pem(base64.b64decode(source["inline_bytes"]))
    except (KeyError, TypeError, ValueError, UnsupportedAlgorithm):
        return ()


def _endpoints(dump: Any, hosts: frozenset[str]) -> Iterator[tuple[str, list[ProxyEndpoint]]]:
    for cluster in dump.get("cluster_statuses", []) if isinstance(dump, dict) else []:
        name = str(cluster.get("name", ""))
        if name.startswith("outbound") and any(name.endswith(host) for host in hosts):
            yield name, [_endpoint(host) for host in cluster.get("host_statuses", [])]


def _endpoint(host: Object) -> ProxyEndpoint:
    address = host.get("address", {}).get("socket_address", {})
    counted = {s.get("name"): int(s.get("value", 0)) for s in host.get("stats", [])}
    health = host.get("health_status", {})
    failed = {k for k, v in health.items() if v is True}
    return ProxyEndpoint(
        address=str(address.get("address", "")),
        port=int(address.get("port_value", 0)),
        health=",".join(sorted(failed)) or str(health.get("eds_health_status", "HEALTHY")),
        weight=int(host.get("weight", 1)),
        requests=counted.get("rq_total", 0),
        successes=counted.get("rq_success", 0),
        errors=counted.get("rq_error", 0),
        connect_failures=counted.get("cx_connect_fail", 0),
    )
