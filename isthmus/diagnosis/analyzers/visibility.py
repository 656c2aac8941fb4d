"""Rules that hide a service from its callers, or lead its requests elsewhere."""

from collections.abc import Iterator
from typing import NamedTuple

from isthmus.diagnosis.fields import dig, mappings, number, texts
from isthmus.diagnosis.finding import Failure, Severity, analyzer, kubectl
from isthmus.diagnosis.istio_rules import (
    is_visible,
    root_namespace,
    rules,
    virtual_service,
)
from isthmus.diagnosis.objects import annotations_of, full_name, labels_of, name_of, namespace_of
from isthmus.diagnosis.routing import defects, ways
from isthmus.diagnosis.services import (
    MeshService,
    about,
    callers,
    pods_of,
    ports,
    reachable,
    service_in,
    services,
)
from isthmus.diagnosis.sidecar_scope import chooses, imports, sidecar_of
from isthmus.diagnosis.snapshot import ClusterSnapshot, Object, Snapshot

EXPORT_TO = "networking.istio.io/exportTo"
"""Annotation of a Service: the namespaces whose proxies know it (istio.io/docs/reference)."""


class Trouble(NamedTuple):
    """What a rule does to a service."""

    rule: Object
    seen: str
    cause: str
    severity: Severity = "error"
    certain: bool = True
    fix: str = ""


@analyzer("F49", "A rule of Istio's hides the service or leads requests elsewhere")
def hidden(snapshot: Snapshot) -> Iterator[Failure]:
    """Find Sidecars, exportTo, ServiceEntries, VirtualServices and EnvoyFilters in the way."""
    for service in services(snapshot):
        where = [c for c in reachable(snapshot) if pods_of(c, service) or callers(c, service)]
        if not where:
            continue
        by_rule: dict[str, list[Trouble]] = {}
        for trouble in (
            *_export(snapshot, service),
            *_sidecars(snapshot, service),
            *_service_entries(snapshot, service),
            *_virtual_service(snapshot, service, where),
            *_envoy_filters(snapshot, service, where),
        ):
            by_rule.setdefault(full_name(trouble.rule), []).append(trouble)
        for name, found in by_rule.items():
            yield _failure(snapshot, service, name, found, where)


def _failure(
    snapshot: Snapshot,
    service: MeshService,
    name: str,
    found: list[Trouble],
    where: list[ClusterSnapshot],
) -> Failure:
    """Return one finding of all that a rule does."""
    worst = next((t for t in found if t.severity == "error"), found[0])
    holds = f"it holds for {', '.join(c.name for c in where)}"
    return Failure(
        (snapshot.host.name,),
        (*(f"{name}: {trouble.seen}" for trouble in found), holds),
        "; ".join(dict.fromkeys(trouble.cause for trouble in found)),
        worst.fix or _edit(snapshot, worst.rule),
        object=about(name, service),
        severity=worst.severity,
        certain=worst.certain,
    )


def _edit(snapshot: Snapshot, rule: Object, verb: str = "edit") -> str:
    group = "" if rule.get("kind") == "Service" else ".networking.istio.io"
    kinds = {"VirtualService": "virtualservices", "ServiceEntry": "serviceentries"}
    kind = kinds.get(str(rule.get("kind")), f"{str(rule.get('kind')).lower()}s")
    where = f"-n {namespace_of(rule)} {verb} {kind}{group} {name_of(rule)}"
    return kubectl(snapshot.host.name, where)


def _export(snapshot: Snapshot, service: MeshService) -> Iterator[Trouble]:
    """Yield the host's Service if it is not exported: istiod takes its annotations for all."""
    found = service_in(snapshot.host, service) or {}
    noted = annotations_of(found).get(EXPORT_TO, "")
    to = [word.strip() for word in noted.split(",") if word.strip()]
    if to and not {".", "*", service.namespace} & set(to):
        where = f"-n {service.namespace} annotate service {service.name}"
        yield Trouble(
            found,
            f"its annotation {EXPORT_TO} is {noted!r}",
            f"sidecars in namespace {service.namespace} do not get the service, and their requests "
            "pass through to its address in their own cluster",
            fix=kubectl(snapshot.host.name, f"{where} {EXPORT_TO}-"),
        )


def _sidecars(snapshot: Snapshot, service: MeshService) -> Iterator[Trouble]:
    labels = next((labels_of(p) for c in reachable(snapshot) for p in callers(c, service)), {})
    rule = sidecar_of(snapshot, service.namespace, labels)
    egress = mappings(dig(rule, "spec", "egress"))
    numbers = {number(port.get("port")) for port in ports(service_in(snapshot.host, service))}
    if rule and egress and not any(imports(e, rule, service, numbers) for e in egress):
        hosts = ", ".join(h for each in egress for h in texts(each.get("hosts"))) or "none"
        yield Trouble(
            rule,
            f"its egress hosts are {hosts}; {service.namespace}/{service.host} is not among them",
            "the callers' sidecars get no endpoints of the service: requests pass through to its "
            "address in their own cluster, or are refused where outboundTrafficPolicy says so",
        )


def _service_entries(snapshot: Snapshot, service: MeshService) -> Iterator[Trouble]:
    for rule in rules(snapshot, "ServiceEntry"):
        hosts = texts(dig(rule, "spec", "hosts"))
        if service.host in hosts and is_visible(rule, service.namespace):
            yield Trouble(
                rule,
                f"it has the host {service.host}, resolution {dig(rule, 'spec', 'resolution')}",
                "either its endpoints are mixed with those of the Service, or it takes its place "
                "for callers of its namespace",
                certain=False,
                severity="warning",
            )


def _virtual_service(
    snapshot: Snapshot, service: MeshService, where: list[ClusterSnapshot]
) -> Iterator[Trouble]:
    rule = virtual_service(snapshot, service, service.namespace)
    if rule is None or not mappings(dig(rule, "spec", "http")):
        return
    seen: set[str] = set()
    for cluster in where:
        found = ways(snapshot, service, cluster)
        for way in found:
            for defect in defects(snapshot, service, way):
                if defect.text not in seen and (way.sure or defect.breaks):
                    seen.add(defect.text)
                    sure = way.sure and defect.breaks
                    severity: Severity = "error" if sure else "warning"
                    yield Trouble(rule, defect.text, defect.cause, severity, way.sure)
        if not found and "unmatched" not in seen:
            seen.add("unmatched")
            text = f"no route is for the callers in {cluster.name}"
            yield Trouble(rule, text, "what matches no route is answered 404 by the sidecar")


def _envoy_filters(
    snapshot: Snapshot, service: MeshService, where: list[ClusterSnapshot]
) -> Iterator[Trouble]:
    found = [pod for c in where for pod in (*pods_of(c, service), *callers(c, service))]
    root = root_namespace(snapshot)
    for rule in rules(snapshot, "EnvoyFilter"):
        chosen = dig(rule, "spec", "workloadSelector") or {}
        spaces = {namespace_of(p) for p in found if chooses(chosen, labels_of(p))}
        ours = "operator.istio.io/component" in labels_of(rule)
        if not ours and spaces & ({namespace_of(rule)} if namespace_of(rule) != root else spaces):
            text = "it holds for the service's pods or its callers"
            cause = "it changes what Envoy does; what it changes is not judged"
            look = f"{_edit(snapshot, rule, 'get')} -o yaml"
            yield Trouble(rule, text, cause, "warning", False, look)


ANALYZERS = (hidden,)
