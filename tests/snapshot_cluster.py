"""One cluster of a healthy snapshot, with its objects by kind."""

import yaml
from snapshot_mesh import control_plane, gateway, sidecar
from snapshot_objects import (
    HELLOWORLD,
    OWN,
    SAMPLE,
    SYSTEM,
    container,
    default_validator,
    deployment,
    injector,
    node,
    pod,
    service,
    slice_of,
    thing,
    validator,
)
from snapshot_parts import (
    DNS,
    HELLO,
    READER,
    SLEEP,
    cacerts,
    istiod,
    proxies,
    remote_secret,
)

from isthmus.diagnosis.snapshot import AdmissionResult, ClusterSnapshot, NameLookup

NONE_OF = (
    "DestinationRule ServiceEntry Sidecar EnvoyFilter Gateway VirtualService NetworkPolicy "
    "PeerAuthentication AuthorizationPolicy RequestAuthentication ResourceQuota LimitRange"
).split()
"""Kinds that were listed and of which there is no object."""


def cluster(place, places, trust, now):
    """Return a cluster of which everything could be asked."""
    others = [p for p in places if p is not place]
    return ClusterSnapshot(
        name=place.name,
        region=place.name,
        network=place.network,
        host=place.host,
        server=place.server,
        version=f"v{place.stack.versions.kubernetes}",
        uid=place.uid,
        objects=objects(place, places, trust),
        cacerts=cacerts(place, trust, now),
        remote_secrets=[remote_secret(p, trust, now) for p in others] if place.host else [],
        istiods=[istiod(place, places, now)] if place.has_istiod else [],
        proxies=proxies(place, places, trust),
        admission=[AdmissionResult(namespace=SAMPLE, allowed=True, injected=True, status=201)],
        lookups=[
            NameLookup(
                cluster=place.name, name=HELLOWORLD, resolver=r, addresses=(service_ip(place),)
            )
            for r in ("pod", "dns")
        ],
    )


def service_ip(place):
    return place.service(HELLO)


def objects(place, places, trust):
    """Return all objects by kind."""
    made = [
        *namespaces(place),
        node("node-1", place.name),
        *sample(place),
        *control_plane(place, places),
        *gateway(place),
        *dns(place),
        *config_maps(place, places, trust),
        *webhooks(place, trust),
        *reader(),
        *(secrets(places) if place.host else ()),
    ]
    found = {kind: [] for kind in NONE_OF}
    for item in made:
        found.setdefault(item["kind"], []).append(item)
    return found


def namespaces(place):
    labels, notes = dict(OWN), {}
    if place.stack.networks == "labels":
        labels |= {"topology.istio.io/network": place.network}
        notes |= {} if place.host else {"topology.istio.io/controlPlaneClusters": "beijing"}
    active = {"status": {"phase": "Active"}}
    return [
        thing("Namespace", SYSTEM, labels=labels, annotations=notes, **active),
        thing("Namespace", SAMPLE, labels={"istio-injection": "enabled", **OWN}, **active),
        thing("Namespace", "default", **active),
        thing("Namespace", "kube-system", **active),
    ]


def sample(place):
    version = "v1" if place.host else "v2"
    labels = {"app": "helloworld", "version": version}
    program = container("helloworld", f"examples-helloworld-{version}:1.0", ports=[5000])
    caller = container("sleep", "curlimages/curl:8.16.0")
    injected = {"security.istio.io/tlsMode": "istio", "topology.istio.io/network": place.network}
    named = {**labels, **injected, "service.istio.io/canonical-name": "helloworld"}
    pods = [
        pod(name, SAMPLE, own, place.pod(last), [c], [sidecar(place)])
        for name, own, last, c in (
            ("helloworld-7c-1", named, HELLO, program),
            ("sleep-5b-1", {"app": "sleep", **injected}, SLEEP, caller),
        )
    ]
    selector = {"app": "helloworld"}
    return [
        deployment("helloworld", SAMPLE, labels, [program]),
        deployment("sleep", SAMPLE, {"app": "sleep"}, [caller]),
        *pods,
        service(
            "helloworld", SAMPLE, service_ip(place), [("http", 5000, 5000)], selector, None, OWN
        ),
        slice_of("helloworld", SAMPLE, [place.pod(HELLO)], [("http", 5000)], ["helloworld-7c-1"]),
    ]


def dns(place):
    labels, program = {"k8s-app": "kube-dns"}, container("coredns", "coredns:1.12.0", ports=[53])
    address, ways = place.pod(DNS), [("dns", 53, 53)]
    return [
        deployment("coredns", "kube-system", labels, [program]),
        pod("coredns-1", "kube-system", labels, address, [program]),
        service("kube-dns", "kube-system", place.service(10), ways, labels, labels=labels),
        slice_of("kube-dns", "kube-system", [address], [("dns", 53)], ["coredns-1"]),
    ]


def config_maps(place, places, trust):
    networks = {
        p.network: {
            "endpoints": [{"fromRegistry": p.name}],
            "gateways": [
                {"registry_service_name": f"{p.stack.gateway.name}.{SYSTEM}.svc.cluster.local"}
                | {"port": p.stack.gateway.port}
            ],
        }
        for p in places
    }
    listed = networks if place.host and place.stack.networks == "meshNetworks" else {}
    mesh = [
        "defaultConfig:",
        "  discoveryAddress: istiod.istio-system.svc:15012",
        "  meshId: pair",
        "enablePrometheusMerge: true",
        "rootNamespace: istio-system",
        "trustDomain: cluster.local",
    ]
    data = {"mesh": "\n".join(mesh), "meshNetworks": yaml.safe_dump({"networks": listed})}
    roots = [
        thing("ConfigMap", "istio-ca-root-cert", n, data={"root-cert.pem": trust.pem})
        for n in (SYSTEM, SAMPLE, "default", "kube-system")
    ]
    return [thing("ConfigMap", "istio", SYSTEM, data=data), *roots]


def webhooks(place, trust):
    path = "/inject" if place.has_istiod else f"/inject/cluster/{place.name}/net/{place.network}"
    own = validator(trust.pem) if place.has_istiod else default_validator()
    return [injector(path, trust.pem), own]


def reader():
    """Return the account by which the host reads a cluster, and what it may."""
    core = ["endpoints", "pods", "services", "nodes", "namespaces", "configmaps", "secrets"]
    rules = [
        {"apiGroups": [""], "resources": core, "verbs": ["get", "list", "watch"]},
        {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"]}
        | {"verbs": ["get", "list", "watch"]},
        {"apiGroups": ["authentication.k8s.io"], "resources": ["tokenreviews"]}
        | {"verbs": ["create"]},
    ]
    name, role = READER.rpartition(":")[2], "istio-reader-clusterrole-istio-system"
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role}
    subject = {"kind": "ServiceAccount", "name": name, "namespace": SYSTEM}
    return [
        thing("ServiceAccount", name, SYSTEM, {"app": "istio-reader"}),
        thing("ClusterRole", role, rules=rules),
        thing("ClusterRoleBinding", role, roleRef=reference, subjects=[subject]),
    ]


def secrets(places):
    """Return the host's Secrets, without their data."""
    made = [thing("Secret", "cacerts", SYSTEM, type="Opaque", keys=["ca-cert.pem"])]
    for place in places[1:]:
        labels = {"istio/multiCluster": "true", **OWN}
        notes = {"networking.istio.io/cluster": place.name}
        name = f"istio-remote-secret-{place.name}"
        made.append(thing("Secret", name, SYSTEM, labels, notes, type="Opaque", keys=[place.name]))
    return made
