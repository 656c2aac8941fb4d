"""What AuthorizationPolicies say of one request: refused, allowed, or not to be told.

Rules are judged as istiod translates them for Envoy (istio pilot/pkg/security/authz/model); None
is what cannot be told from a snapshot: addresses, headers, what nobody knows of the caller.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from isthmus.diagnosis.fields import dig, mappings, number, selects, texts
from isthmus.diagnosis.istio_rules import mesh_config, root_namespace, rules
from isthmus.diagnosis.objects import annotations_of, labels_of, namespace_of
from isthmus.diagnosis.snapshot import Object, Snapshot

UNKNOWN = "?"
"""A fact of a request that nobody knows."""
ABSENT = ""
"""A fact that a request does not have, such as the identity of one without mutual TLS."""
Verdict = bool | None


@dataclass(frozen=True)
class Request:
    """What is known of a request when it comes to a proxy."""

    port: int
    trust_domain: str = "cluster.local"
    namespace: str = UNKNOWN
    account: str = UNKNOWN
    method: str = UNKNOWN
    path: str = UNKNOWN
    http: bool = True
    """Whether the proxy sees HTTP: for TCP, rules of an ALLOW that need it never match."""

    @property
    def principal(self) -> str:
        """The caller's SPIFFE identity without its scheme."""
        if UNKNOWN in (self.namespace, self.account):
            return UNKNOWN
        if not self.namespace:
            return ABSENT
        return f"{self.trust_domain}/ns/{self.namespace}/sa/{self.account}"


def trust_domain(snapshot: Snapshot) -> str:
    """Return the mesh's trust domain."""
    return str(mesh_config(snapshot).get("trustDomain") or "cluster.local")


def policies(snapshot: Snapshot, kind: str, pod: Object) -> list[Object]:
    """Return the policies of a kind that hold for a pod: its namespace's and the root's.

    Source: istio pilot/pkg/model/policyattachment.go; what has targetRefs is for gateways alone.
    """
    spaces = (root_namespace(snapshot), namespace_of(pod))
    return [
        rule
        for rule in rules(snapshot, kind)
        if namespace_of(rule) in spaces
        and not dig(rule, "spec", "targetRefs")
        and not dig(rule, "spec", "targetRef")
        and selects(dig(rule, "spec", "selector"), labels_of(pod))
        and annotations_of(rule).get("istio.io/dry-run") != "true"
    ]


def action(policy: Object) -> str:
    """Return what a policy does with what matches it; ALLOW if it does not say so."""
    return str(dig(policy, "spec", "action") or "ALLOW")


def matches(policy: Object, request: Request) -> Verdict:
    """Tell whether one of a policy's rules matches; a policy without rules matches nothing."""
    deny = action(policy) != "ALLOW"
    found = mappings(dig(policy, "spec", "rules"))
    return _any(_rule(rule, request, deny, namespace_of(policy)) for rule in found)


def _rule(rule: Object, request: Request, deny: bool, space: str) -> Verdict:
    sources = [each.get("source") or {} for each in mappings(rule.get("from"))]
    operations = [each.get("operation") or {} for each in mappings(rule.get("to"))]
    from_it = _any(_fields(each, SOURCE, request, deny, space) for each in sources)
    to_it = _any(_fields(each, OPERATION, request, deny, space) for each in operations)
    terms = [_when(term, request, deny, space) for term in mappings(rule.get("when"))]
    return _all((from_it if sources else True, to_it if operations else True, *terms))


def _fields(
    item: Any, known: Mapping[str, str], request: Request, deny: bool, space: str
) -> Verdict:
    found: list[Verdict] = []
    for name, attribute in known.items():
        negated = f"not{name[0].upper()}{name[1:]}"
        values, not_values = texts(dig(item, name)), texts(dig(item, negated))
        found.append(_attribute(attribute, values, not_values, request, deny, space))
    return _all(found)


def _when(term: Object, request: Request, deny: bool, space: str) -> Verdict:
    values, not_values = texts(term.get("values")), texts(term.get("notValues"))
    return _attribute(str(term.get("key")), values, not_values, request, deny, space)


SOURCE = {
    "principals": "source.principal",
    "requestPrincipals": "request.auth.principal",
    "namespaces": "source.namespace",
    "serviceAccounts": "source.serviceAccount",
    "ipBlocks": "source.ip",
    "remoteIpBlocks": "remote.ip",
    "trustDomains": "source.trustDomain",
}
OPERATION = {
    "hosts": "request.host",
    "ports": "destination.port",
    "methods": "request.method",
    "paths": "request.path",
}
"""Fields of a rule, and the attribute that each is about."""


def _attribute(
    key: str, values: list[str], not_values: list[str], request: Request, deny: bool, space: str
) -> Verdict:
    if not values and not not_values:
        return True
    if key.startswith("request.") and not request.http:
        # istio pilot/pkg/security/authz/model, checkError: ignored in a DENY, never met otherwise.
        return deny
    fact = _fact(key, request)
    yes = _any(_meets(key, wanted, fact, request, space) for wanted in values)
    unwanted = _any(_meets(key, wanted, fact, request, space) for wanted in not_values)
    return _all((yes if values else True, _not(unwanted) if not_values else True))


def _fact(key: str, request: Request) -> str:
    if key.startswith("request.auth."):
        return ABSENT  # our callers have no JWT
    known = {
        "source.principal": request.principal,
        "source.namespace": request.namespace,
        "source.serviceAccount": request.account,
        "source.trustDomain": request.trust_domain if request.namespace else ABSENT,
        "destination.port": str(request.port),
        "request.method": request.method,
        "request.path": request.path,
    }
    return known.get(key, UNKNOWN)


def _meets(key: str, wanted: str, fact: str, request: Request, space: str) -> Verdict:
    if fact == UNKNOWN:
        return None
    if key == "destination.port":
        return number(wanted) == request.port
    if key == "source.serviceAccount" and fact:
        own, name = wanted.split("/", 1) if "/" in wanted else (space, wanted)
        return own == request.namespace and name == request.account
    if "{" in wanted:
        return None  # a template of paths
    return _text_meets(wanted, fact)


def _text_meets(wanted: str, fact: str) -> bool:
    """Tell whether a text meets a pattern (istio pilot/pkg/security/authz/matcher/string.go)."""
    if wanted == "*":
        return bool(fact)
    if wanted.startswith("*"):
        return fact.endswith(wanted[1:])
    if wanted.endswith("*"):
        return bool(fact) and fact.startswith(wanted[:-1])
    return bool(fact) and fact == wanted


def _all(verdicts: Iterable[Verdict]) -> Verdict:
    found = list(verdicts)
    return False if False in found else None if None in found else True


def _any(verdicts: Iterable[Verdict]) -> Verdict:
    found = list(verdicts)
    return True if True in found else None if None in found else False


def _not(verdict: Verdict) -> Verdict:
    return None if verdict is None else not verdict
