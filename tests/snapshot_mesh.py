"""The objects of Istio in a cluster of a healthy snapshot: istiod, the ways to it, a gateway."""

from snapshot_objects import OWN, SYSTEM, container, deployment, pod, service, slice_of, thing
from snapshot_parts import GATEWAY, ISTIOD


def sidecar(place, **more):
    env = {
        "ISTIO_META_CLUSTER_ID": place.name,
        "ISTIO_META_NETWORK": place.network,
        "CA_ADDR": "istiod.istio-system.svc:15012",
        "ISTIO_META_MESH_ID": "pair",
        "TRUST_DOMAIN": "cluster.local",
        **more,
    }
    image = f"registry.example/istio/proxyv2:{place.stack.versions.istio}"
    return container("istio-proxy", image, env, [15090], args=["proxy", "sidecar"])


ISTIOD_WAYS = [("https-dns", 15012, 15012), ("https-webhook", 443, 15017)]


def control_plane(place, places):
    """Return istiod where it runs; elsewhere the Service that leads to the host's gateway."""
    far = [("tcp-istiod", 15012), ("tcp-webhook", 15017)]
    entry = [places[0].gateway]
    if place.has_istiod:
        made = _istiod(place)
        if not place.host:
            way = [("tcp-istiod", 15012, 15012)]
            made += [service("istiod-remote", SYSTEM, place.service(4), way)]
            made += [slice_of("istiod-remote", SYSTEM, entry, far[:1])]
        return made + (exposed(place) if place.host else [])
    ways = [("tcp-istiod", 15012, 15012), ("tcp-webhook", 443, 15017)]
    labels = {"istio.io/rev": "default"}
    return [
        service("istiod", SYSTEM, place.service(ISTIOD), ways, labels=labels),
        slice_of("istiod", SYSTEM, entry, far, suffix=""),
    ]


def _istiod(place):
    env = {"CLUSTER_ID": place.name, "EXTERNAL_ISTIOD": "true", "REVISION": "default"}
    image = f"registry.example/istio/pilot:{place.stack.versions.istio}"
    program = container("discovery", image, env, [8080, 15010, 15017], args=["discovery"])
    labels = {"app": "istiod", "istio": "pilot", "istio.io/rev": "default"}
    ports = [("https-dns", 15012), ("https-webhook", 15017)]
    name, address = "istiod-5d4f8-x2x9k", place.pod(ISTIOD)
    return [
        deployment("istiod", SYSTEM, labels, [program]),
        pod(name, SYSTEM, labels, address, [program]),
        service("istiod", SYSTEM, place.service(ISTIOD), ISTIOD_WAYS, {"app": "istiod"}),
        slice_of("istiod", SYSTEM, [address], ports, [name]),
    ]


def exposed(place):
    """Return the host's Gateways and the VirtualService through which remotes reach istiod."""
    word = place.stack.gateway.selector.partition("=")[2]
    pairs = (("tls-istiod", 15012), ("tls-istiodwebhook", 15017))
    servers = [_server(name, number, "PASSTHROUGH", "*") for name, number in pairs]
    to = "istiod.istio-system.svc.cluster.local"
    routes = [
        {
            "match": [{"port": port, "sniHosts": ["*"]}],
            "route": [{"destination": {"host": to, "port": {"number": number}}}],
        }
        for port, number in ((15012, 15012), (15017, 443))
    ]
    spec = {"hosts": ["*"], "gateways": ["istiod-gateway"], "tls": routes}
    cross = [_server("tls", place.stack.gateway.port, "AUTO_PASSTHROUGH", "*.local")]
    return [
        _gateway("istiod-gateway", word, servers),
        _gateway("cross-network-gateway", word, cross),
        thing("VirtualService", "istiod-vs", SYSTEM, OWN, spec=spec),
    ]


def _gateway(name, word, servers):
    return thing(
        "Gateway", name, SYSTEM, OWN, spec={"selector": {"istio": word}, "servers": servers}
    )


def _server(name, number, mode, host):
    port = {"name": name, "number": number, "protocol": "TLS"}
    return {"port": port, "tls": {"mode": mode}, "hosts": [host]}


def gateway(place):
    """Return the way into the cluster's network, with its load balancer's address."""
    name = place.stack.gateway.name
    word = place.stack.gateway.selector.partition("=")[2]
    labels = {"istio": word, "app": name}
    if place.stack.networks == "labels":
        labels |= {"topology.istio.io/network": place.network}
    port = place.stack.gateway.port
    target = 8443 if port == 443 else port
    ways = [
        ("status-port", 15021, 15021),
        ("tls", port, target),
        ("tls-istiod", 15012, 15012),
        ("tls-webhook", 15017, 15017),
    ]
    proxy = sidecar(place, ISTIO_META_REQUESTED_NETWORK_VIEW=place.network)
    proxy["args"] = ["proxy", "router"]
    address, pod_name = place.pod(GATEWAY), f"{name}-6d-1"
    return [
        deployment(name, SYSTEM, labels, [proxy]),
        pod(pod_name, SYSTEM, labels, address, [proxy]),
        service(
            name, SYSTEM, place.service(GATEWAY), ways, dict(labels), place.gateway, dict(labels)
        ),
        slice_of(name, SYSTEM, [address], [(n, t) for n, _, t in ways], [pod_name]),
    ]
