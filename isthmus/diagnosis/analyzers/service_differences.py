"""One Service in several clusters: where its copies differ in what istiod goes by."""

import json
import shlex
from collections.abc import Iterator

from isthmus.diagnosis import pods
from isthmus.diagnosis.fields import dig, pairs
from isthmus.diagnosis.finding import Failure, Severity, analyzer, kubectl
from isthmus.diagnosis.objects import find, name_of, was_listed
from isthmus.diagnosis.services import (
    SAMPLE,
    MeshService,
    declared_ports,
    make,
    pods_of,
    ports,
    reachable,
    service_in,
    services,
    target_port,
    up,
)
from isthmus.diagnosis.snapshot import ClusterSnapshot, Object, Snapshot

SAMPLE_SERVICE: Object = {
    "spec": {"ports": [{"name": "http", "port": 5000}], "selector": {"app": "helloworld"}}
}
"""The sample's, as templates/sample/callers.yaml.j2 has it in every cluster."""
Difference = tuple[Severity, str]


@analyzer("F54", "A Service is not the same in all clusters")
def differing_service(snapshot: Snapshot) -> Iterator[Failure]:
    """Find Services whose ports, kind or selector differ so that endpoints or callers are lost."""
    for service in services(snapshot):
        having = [(c, s) for c in reachable(snapshot) if (s := service_in(c, service))]
        for cluster, found in having:
            wanted = SAMPLE_SERVICE if service == SAMPLE else having[0][1]
            of = "the sample" if service == SAMPLE else having[0][0].name
            told = [*_ports(wanted, found, of), *_kind(wanted, found, of)]
            told += _selected(cluster, service, found)
            told += _targets(cluster, service, wanted, found)
            if told:
                yield _failure(snapshot, cluster, service, wanted, told)


def _ports(wanted: Object, found: Object, of: str) -> Iterator[Difference]:
    named = {str(p.get("name", "")): p for p in ports(found)}
    numbers = {p.get("port"): p for p in ports(found)}
    for port in ports(wanted):
        name, number = str(port.get("name", "")), port.get("port")
        if own := named.get(name):
            yield from _same_name(name, port, own, of)
        elif number in numbers:
            other = numbers[number].get("name", "")
            yield "error", f"port {number} is named {other!r}, which {of} names {name!r}"
        else:
            yield "error", f"there is no port {number} {name!r}, which {of} has"


def _same_name(name: str, port: Object, own: Object, of: str) -> Iterator[Difference]:
    if own.get("port") != port.get("port"):
        yield "error", f"port {name!r} is {own.get('port')}, which is {port.get('port')} in {of}"
    for key, default in (("appProtocol", "none"), ("protocol", "TCP")):
        if (has := own.get(key) or default) != (theirs := port.get(key) or default):
            yield "warning", f"port {name!r} has {key} {has}, where {of} has {theirs}"


def _kind(wanted: Object, found: Object, of: str) -> Iterator[Difference]:
    for word, has in (("of type ExternalName", _is_external), ("headless", _is_headless)):
        if has(wanted) != has(found):
            yield "error", f"it is{'' if has(found) else ' not'} {word}, unlike that of {of}"


def _is_external(service: Object) -> bool:
    return bool(dig(service, "spec", "type") == "ExternalName")


def _is_headless(service: Object) -> bool:
    return bool(dig(service, "spec", "clusterIP") == "None")


def _selected(
    cluster: ClusterSnapshot, service: MeshService, found: Object
) -> Iterator[Difference]:
    """Yield a selector that selects none of the pods that the Deployment of its name makes."""
    owner = find(cluster, "Deployment", service.name, service.namespace)
    if not was_listed(cluster, "Pod") or _is_external(found) or pods_of(cluster, service):
        return
    labels = pairs(dig(found, "spec", "selector"))
    own = pods.template_labels(owner or {})
    if owner and pods.replicas(owner) and not (labels and labels.items() <= own.items()):
        said = f"its selector is {_text(labels)}, but the pods of Deployment {name_of(owner)} have "
        yield "error", said + _text(own)


def _targets(
    cluster: ClusterSnapshot, service: MeshService, wanted: Object, found: Object
) -> Iterator[Difference]:
    """Yield ports that lead to none of the ports that the pods behind them have."""
    chosen = pods.ready(pods_of(cluster, service))
    meant = {str(p.get("name", "")): p.get("targetPort", p.get("port")) for p in ports(wanted)}
    for port in ports(found) if chosen else ():
        target = port.get("targetPort", port.get("port"))
        if all(target_port(port, pod) is None for pod in chosen):
            yield "error", f"port {port.get('port')} leads to {target!r}, a name that no port has"
        elif meant.get(str(port.get("name", "")), target) != target and not any(
            target_port(port, pod) in declared_ports(pod) for pod in chosen
        ):
            yield "error", f"port {port.get('port')} leads to {target}, which no container declares"


def _text(labels: dict[str, str]) -> str:
    return ", ".join(f"{k}={v}" for k, v in labels.items()) or "empty"


def _failure(
    snapshot: Snapshot,
    cluster: ClusterSnapshot,
    service: MeshService,
    wanted: Object,
    differences: list[Difference],
) -> Failure:
    errors = any(severity == "error" for severity, _ in differences)
    return Failure(
        (cluster.name,),
        tuple(f"{cluster.name}: {service.text}: {text}" for _, text in differences),
        "istiod takes a service's ports and type from the host's Service alone, and of each "
        "cluster only endpoints of a port with the same name; callers dial their own cluster's",
        _fix(snapshot, cluster, service, wanted),
        object=service.text,
        severity="error" if errors else "warning",
    )


def _fix(snapshot: Snapshot, cluster: ClusterSnapshot, service: MeshService, wanted: Object) -> str:
    found = service_in(cluster, service) or {}
    where = f"-n {service.namespace}"
    if _is_headless(found) != _is_headless(wanted) or _is_external(found) != _is_external(wanted):
        delete = kubectl(cluster.name, f"{where} delete service {service.name}")
        again = up(snapshot) if service == SAMPLE else make(cluster, service, wanted)
        return f"{delete}\n{again}"
    if service == SAMPLE:
        return up(snapshot)
    keys = ("name", "port", "protocol", "appProtocol", "targetPort")
    kept = [{k: p[k] for k in keys if k in p} for p in ports(wanted)]
    spec = {"ports": kept, "selector": dig(wanted, "spec", "selector")}
    patch = shlex.quote(json.dumps({"spec": spec}))
    return kubectl(cluster.name, f"{where} patch service {service.name} --type=merge -p {patch}")


ANALYZERS = (differing_service,)
