"""Istio's access policies: which of them refuses the sample's callers, or the way to istiod."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace

from isthmus.diagnosis import pods
from isthmus.diagnosis.authorization import (
    ABSENT,
    Request,
    Verdict,
    action,
    matches,
    policies,
    trust_domain,
)
from isthmus.diagnosis.fields import dig, mappings
from isthmus.diagnosis.finding import Failure, analyzer, kubectl
from isthmus.diagnosis.objects import container, full_name, labelled, name_of, namespace_of
from isthmus.diagnosis.peer_authentication import peer_mode
from isthmus.diagnosis.services import (
    SAMPLE,
    MeshService,
    about,
    apply,
    callers,
    pods_of,
    ports,
    reachable,
    selector,
    service_in,
    services,
    stack_of,
    target_ports,
)
from isthmus.diagnosis.snapshot import Object, Snapshot
from isthmus.environment.namespaces import ISTIO_NAMESPACE, SAMPLE_NAMESPACE

ISTIOD_PORTS = (15012, 15017)
"""Where remotes' proxies and API servers reach the host's istiod, through its gateway."""
NOT_HTTP = ("tcp", "tls", "https", "mongo", "mysql", "redis", "udp")
"""What the name of a port begins with that Istio does not take for HTTP (istio.io, Protocol
Selection)."""
FORBIDDEN, CLOSED = "403 RBAC: access denied", "the connection is closed"
"""How a proxy refuses a request, and a connection in which it sees none (Envoy's RBAC filters)."""
OURS: Object = {"from": [{"source": {"namespaces": [SAMPLE_NAMESPACE]}}]}
"""A rule that allows the sample's callers."""
RESOURCE = "authorizationpolicies.security.istio.io"


@analyzer("F48", "An access policy refuses requests: RBAC, or mutual TLS that a caller cannot do")
def refused(snapshot: Snapshot) -> Iterator[Failure]:
    """Find the AuthorizationPolicies and PeerAuthentications that refuse the service's callers."""
    for service in services(snapshot):
        yield from _service(snapshot, service)
        yield from _strict(snapshot, service)
    yield from _gateway(snapshot)


def _service(snapshot: Snapshot, service: MeshService) -> Iterator[Failure]:
    found: dict[tuple[str, ...], tuple[list[str], list[Object], Verdict]] = {}
    asked = _request(snapshot, service)
    for cluster in reachable(snapshot):
        for pod in pods_of(cluster, service):
            for port in target_ports(service_in(cluster, service), pod)[:1]:
                holding = policies(snapshot, "AuthorizationPolicy", pod)
                by, sure = _refusing(holding, replace(asked, port=port))
                if by:
                    key = tuple(map(full_name, by))
                    found.setdefault(key, ([], by, sure))[0].append(cluster.name)
    for names, by, sure in found.values():
        who = f"the callers of {service.text} in {', '.join(dict.fromkeys(names))}"
        labels = selector(snapshot.host, service)
        allow = _allow(snapshot, service.namespace, labels, OURS) if service == SAMPLE else ""
        what = about(full_name(by[0]), service)
        yield _failure(snapshot, by, who, FORBIDDEN, what, allow, sure is True)


def _request(snapshot: Snapshot, service: MeshService) -> Request:
    """Return what is known of a request but its port: all of the sample's, else its protocol."""
    domain = trust_domain(snapshot)
    found = next((s for c in reachable(snapshot) if (s := service_in(c, service))), None)
    name = next((str(p.get("appProtocol") or p.get("name", "")) for p in ports(found)), "")
    http = name.partition("-")[0].lower() not in NOT_HTTP
    if service != SAMPLE:
        return Request(0, domain, http=http)
    of = [pod for c in reachable(snapshot) for pod in callers(c)]
    account = next((dig(p, "spec", "serviceAccountName") for p in of), None) or "default"
    return Request(0, domain, SAMPLE_NAMESPACE, str(account), "GET", "/hello", http)


def _refusing(every: Sequence[Object], request: Request) -> tuple[list[Object], Verdict]:
    """Return the policies that refuse a request, and whether that is certain.

    CUSTOM comes first, then DENY, then ALLOW (istio.io, Authorization, implicit enablement).
    """
    for kind, sure in (("DENY", True), ("CUSTOM", None)):
        found = [p for p in every if action(p) == kind and matches(p, request)]
        if found:
            return found, sure
    allowing = [p for p in every if action(p) == "ALLOW"]
    if any(matches(policy, request) is not False for policy in allowing):
        return [], True
    return allowing, True


def _failure(
    snapshot: Snapshot,
    by: list[Object],
    who: str,
    end: str,
    what: str,
    allow: str,
    sure: bool,
) -> Failure:
    kind = action(by[0])
    causes = {
        "DENY": f"a DENY policy matches {who}: {end}",
        "CUSTOM": f"whether {who} get through is decided by an external authorizer",
        "ALLOW": f"where an ALLOW policy holds, what none of them allows is refused, and none "
        f"allows {who}: {end}",
    }
    return Failure(
        (snapshot.host.name,),
        tuple(_seen(policy) for policy in by),
        causes.get(kind, causes["ALLOW"]),
        allow if allow and kind == "ALLOW" else _delete(snapshot, by),
        object=what,
        severity="error" if sure else "warning",
        certain=sure,
    )


def _seen(policy: Object) -> str:
    found = mappings(dig(policy, "spec", "rules"))
    selected = dig(policy, "spec", "selector", "matchLabels")
    where = json.dumps(selected) if selected else "all pods"
    said = json.dumps(found)[:300] if found else "none: it matches nothing"
    return f"{full_name(policy)}: {action(policy)}, for {where}, rules {said}"


def _delete(snapshot: Snapshot, by: list[Object]) -> str:
    where = [f"-n {namespace_of(p)} delete {RESOURCE} {name_of(p)}" for p in by]
    return "\n".join(kubectl(snapshot.host.name, words) for words in where)


def _allow(snapshot: Snapshot, namespace: str, labels: dict[str, str], rule: Object) -> str:
    made = {
        "apiVersion": "security.istio.io/v1beta1",
        "kind": "AuthorizationPolicy",
        "metadata": {"name": "allow-mesh", "namespace": namespace},
        "spec": {"selector": {"matchLabels": labels}, "action": "ALLOW", "rules": [rule]},
    }
    return apply(snapshot.host.name, made)


def _strict(snapshot: Snapshot, service: MeshService) -> Iterator[Failure]:
    """Yield STRICT mutual TLS where a caller has no sidecar: its connections are reset."""
    for cluster in reachable(snapshot) if service == SAMPLE else ():
        plain = [p for p in pods.ready(callers(cluster)) if not container(p, "istio-proxy")]
        for pod in pods_of(cluster, service)[:1] if plain else ():
            port = next(iter(target_ports(service_in(cluster, service), pod)), 0)
            told = peer_mode(snapshot, pod, port)
            if told.mode == "STRICT" and told.rule:
                yield Failure(
                    (cluster.name,),
                    (
                        f"{full_name(told.rule)}: mutual TLS is STRICT for {full_name(pod)}",
                        *(f"{full_name(caller)}: no container istio-proxy" for caller in plain),
                    ),
                    "what has no sidecar sends plain text, and STRICT resets such connections",
                    kubectl(cluster.name, pods.restart(cluster, plain[0])),
                    object=full_name(told.rule),
                    certain=False,
                )


def _gateway(snapshot: Snapshot) -> Iterator[Failure]:
    """Yield policies on the host's gateway that refuse the way to istiod.

    It passes TLS through, so that it sees no identity; at 15443 no policy holds (istio
    pilot/pkg/networking/core/gateway.go, builtAutoPassthroughFilterChains).
    """
    stack, host = stack_of(snapshot), snapshot.host
    key, _, value = stack.gateway.selector.partition("=") if stack else ("", "", "")
    for pod in labelled(host, "Pod", {key: value}, ISTIO_NAMESPACE)[:1] if stack else ():
        for port in ISTIOD_PORTS:
            request = Request(port, trust_domain(snapshot), ABSENT, ABSENT, http=False)
            by, sure = _refusing(policies(snapshot, "AuthorizationPolicy", pod), request)
            if by and sure:
                who = f"what remotes send to istiod by the gateway (port {port})"
                rule = {"to": [{"operation": {"ports": [str(p) for p in ISTIOD_PORTS]}}]}
                allow = _allow(snapshot, ISTIO_NAMESPACE, {key: value}, rule)
                what = f"{full_name(by[0])} at the gateway"
                yield _failure(snapshot, by, who, CLOSED, what, allow, True)
                break


ANALYZERS = (refused,)
