"""The Service of each network's gateway: has it an address that other clusters could use."""

import json
import re
from collections.abc import Iterator

from isthmus.diagnosis.fields import created, dig, mappings
from isthmus.diagnosis.finding import Failure, analyzer, kubectl
from isthmus.diagnosis.gateway_facts import (
    addresses_of,
    gateway_services,
    own_service,
    stack_of,
    warnings_about,
)
from isthmus.diagnosis.objects import full_name, listed, name_of, namespace_of, was_listed
from isthmus.diagnosis.services import up
from isthmus.diagnosis.snapshot import ClusterSnapshot, Object, Snapshot
from isthmus.diagnosis.times import span
from isthmus.environment.namespaces import ISTIO_NAMESPACE

BEING_MADE = 300.0
"""Seconds in which a cloud may still be making a load balancer."""


@analyzer("F12", "A gateway's Service has no address that other clusters could use")
def no_address(snapshot: Snapshot) -> Iterator[Failure]:
    """Find gateways' Services that are gone, of another type, or without a load balancer."""
    for cluster in snapshot.clusters:
        if not was_listed(cluster, "Service"):
            continue
        own = own_service(snapshot, cluster)
        if own is None:
            yield _service_gone(snapshot, cluster)
        for service in gateway_services(snapshot, cluster):
            balanced = dig(service, "spec", "type") == "LoadBalancer"
            if addresses_of(cluster, service) or not (balanced or service is own):
                continue
            yield (_pending if balanced else _other_type)(snapshot, cluster, service)


def _service_gone(snapshot: Snapshot, cluster: ClusterSnapshot) -> Failure:
    name = f"Service {ISTIO_NAMESPACE}/{stack_of(snapshot).gateway.name}"
    return Failure(
        clusters=(cluster.name,),
        object=name,
        evidence=(f"{cluster.name} has no {name}",),
        cause="the gateway's Service was deleted, so istiod knows no address of this network",
        fix=up(snapshot),
    )


def _other_type(snapshot: Snapshot, cluster: ClusterSnapshot, service: Object) -> Failure:
    kind = dig(service, "spec", "type") or "ClusterIP"
    cause = "istiod takes addresses from a Service of type LoadBalancer"
    if kind == "NodePort":
        cause = (
            "istiod takes nodes' addresses from a NodePort Service only with the annotation "
            "traffic.istio.io/nodeSelector, and only those of type ExternalIP"
        )
    return Failure(
        clusters=(cluster.name,),
        object=full_name(service),
        evidence=(f"{cluster.name}: {full_name(service)} has type {kind} and no external address",),
        cause=cause,
        fix=kubectl(
            cluster.name,
            f"-n {namespace_of(service)} patch service {name_of(service)} --type merge "
            '-p \'{"spec":{"type":"LoadBalancer"}}\'',
        ),
    )


def _pending(snapshot: Snapshot, cluster: ClusterSnapshot, service: Object) -> Failure:
    said = warnings_about(cluster, "Service", re.escape(name_of(service)))[-2:]
    age = snapshot.taken_at - created(service)
    chosen = dig(service, "spec", "loadBalancerClass")
    evidence = [
        f"{cluster.name}: {full_name(service)}, made {span(age)} ago: "
        "status.loadBalancer.ingress is empty",
        *([f"spec.loadBalancerClass is {chosen}"] if chosen else []),
        *said,
    ]
    cause = f"no load balancer controller takes the Service{' and its class' if chosen else ''}"
    if said:
        cause = "the load balancer's controller tries and fails, for the reason in its Event"
    elif age < BEING_MADE:
        cause = f"either the load balancer is still being made, or {cause}"
    return Failure(
        clusters=(cluster.name,),
        object=full_name(service),
        evidence=tuple(evidence),
        cause=cause,
        fix=_look(cluster, service) if said else _by_hand(cluster, service),
        certain=bool(said),
    )


def _look(cluster: ClusterSnapshot, service: Object) -> str:
    words = f"-n {namespace_of(service)} describe service {name_of(service)}"
    note = "# its controller tries again by itself once that is mended; see:"
    return f"{note}\n{kubectl(cluster.name, words)}"


def _by_hand(cluster: ClusterSnapshot, service: Object) -> str:
    """Return how a Service gets an address where nobody gives it one."""
    given = (
        str(address.get("address"))
        for node in listed(cluster, "Node")
        for address in mappings(dig(node, "status", "addresses"))
        if address.get("type") == "ExternalIP"
    )
    entry = {"ip": next(given, "ADDRESS")}
    patch = json.dumps({"status": {"loadBalancer": {"ingress": [entry]}}})
    command = (
        f"-n {namespace_of(service)} patch service {name_of(service)} --subresource=status "
        f"--type merge -p '{patch}'"
    )
    note = "# or install a load balancer controller; the address: of a node, as others reach it"
    return f"{kubectl(cluster.name, command)}\n{note}"


ANALYZERS = (no_address,)
