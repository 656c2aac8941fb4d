"""Ways between the clusters of a healthy snapshot, each of which came about."""

from snapshot_objects import HELLOWORLD, SAMPLE
from snapshot_parts import ISTIOD, SPIFFE

from isthmus.diagnosis.snapshot import TlsProbe


def probes(places, trust):
    """Return every way that is tried: each gateway, the control plane, the remotes' APIs."""
    found = []
    for asking in places:
        others = [p for p in places if p is not asking]
        found += [_gateway(asking, other, trust) for other in others]
        if asking.host:
            found += [_api_server(asking, other, trust) for other in others]
        else:
            found.append(_istiod(asking, places[0], trust, "istiod", 15012))
            found.append(_istiod(asking, places[0], trust, "webhook", 443))
    return found


def _gateway(asking, asked, trust):
    server_name = f"outbound_.5000_._.{HELLOWORLD}"
    chain = trust.leaf(asked.signer, SPIFFE.format(SAMPLE, "default"))
    port = asked.stack.gateway.port
    more = {"server_name": server_name, "alpn": ("istio",), "alpn_selected": "istio"}
    return _probe(asking, asked, "gateway", asked.gateway, port, chain, True, **more)


def _istiod(asking, host, trust, purpose, port):
    """A remote meets the host's istiod by the Service's name; with one of its own, that one."""
    name = "istiod.istio-system.svc"
    chain = trust.leaf(asking.signer, name)
    alpn = ("h2",) if purpose == "istiod" else ()
    more = {"server_name": name, "alpn": alpn, "alpn_selected": "".join(alpn)}
    resolved = (asking.service(ISTIOD),)
    return _probe(asking, host, purpose, name, port, chain, False, resolved=resolved, **more)


def _api_server(asking, asked, trust):
    chain, _ = trust.api_server(asked.name)
    where = asked.server.removeprefix("https://").removesuffix(":6443")
    return _probe(asking, asked, "api-server", where, 6443, chain, True)


def _probe(asking, asked, purpose, host, port, chain, wants, **more):
    return TlsProbe(
        source=asking.name,
        source_pod=f"{SAMPLE}/sleep-5b-1",
        target=asked.name,
        purpose=purpose,
        host=host,
        port=port,
        connected=True,
        seconds=0.02,
        certificates=chain,
        wants_client_certificate=wants,
        **more,
    )
