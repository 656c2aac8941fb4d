"""Whether the host's gateway passes remotes on to istiod, by the objects that istiod reads."""

from collections.abc import Iterator, Mapping

from isthmus.diagnosis.fields import dig, mappings, texts
from isthmus.diagnosis.gateway_facts import shown, stack_of, whole
from isthmus.diagnosis.gateway_servers import Server
from isthmus.diagnosis.istio_rules import host_matches, rules
from isthmus.diagnosis.objects import full_name, name_of, namespace_of
from isthmus.diagnosis.snapshot import Object, Snapshot
from isthmus.environment.namespaces import ISTIOD_SAN

TO_ISTIOD = ("istiod-gateway", "meshexpansion-gateway")
"""Names of the Gateway for it (expose-istiod.yaml.j2; Istio 1.7's meshExpansion)."""


def ports(snapshot: Snapshot) -> list[int]:
    """Return where remotes ask for istiod; where they inject by themselves, not for its webhook."""
    return [15012] if stack_of(snapshot).istiod_in_remotes else [15012, 15017]


def other_endpoint(snapshot: Snapshot) -> str:
    """Return where the environment itself sends remotes, if not to the host's gateway."""
    path = ("overlays", "remote", "values", "global", "remotePilotAddress")
    return str(dig(snapshot.environment, *path) or "")


def faults(
    snapshot: Snapshot, known: list[Server], labels: Mapping[str, str]
) -> Iterator[tuple[int, str, str]]:
    """Yield each port that leads to no istiod: the kind of object that is at fault, and how."""
    for port in ports(snapshot):
        serving = [s for s in known if s.port == port and s.is_for(labels)]
        bound = {s: _bound(snapshot, s) for s in serving}
        if any(_leads(rule, port) for found in bound.values() for rule in found):
            continue
        if serving:
            has = shown([full_name(r) for found in bound.values() for r in found]) or "none"
            fault = f"of the VirtualServices of {serving[0].name} ({has}) none leads from port "
            yield port, "VirtualService", f"{fault}{port} to istiod"
        else:
            same = [s for s in known if name_of(s.gateway) in TO_ISTIOD and s.port == port]
            near = "".join(f"; {s.name} selects {selector_text(s)}" for s in same)
            yield port, "Gateway", f"no Gateway serves port {port} for the host's gateway{near}"


def selector_text(server: Server) -> str:
    """Return by which labels a Gateway selects pods."""
    return shown([f"{key}={value}" for key, value in sorted(server.selector.items())]) or "all"


def _bound(snapshot: Snapshot, server: Server) -> list[Object]:
    """Return the VirtualServices for a server's Gateway."""
    name, space = name_of(server.gateway), namespace_of(server.gateway)
    return [
        rule
        for rule in rules(snapshot, "VirtualService")
        if {f"{space}/{name}", *([name] if namespace_of(rule) == space else [])}
        & set(texts(dig(rule, "spec", "gateways")))
    ]


def _leads(rule: Object, port: int) -> bool:
    """Tell whether a VirtualService leads what comes in at a port to istiod."""
    every = [r for kind in ("tls", "tcp", "http") for r in mappings(dig(rule, "spec", kind))]
    return any(
        _takes(route, port)
        and any(_is_istiod(dig(to, "destination", "host")) for to in mappings(route.get("route")))
        for route in every
    )


def _takes(route: Object, port: int) -> bool:
    matches = mappings(route.get("match"))
    return not matches or any(
        whole(m.get("port")) in (0, port)
        and (not (names := texts(m.get("sniHosts"))) or any(map(_means_istiod, names)))
        for m in matches
    )


def _means_istiod(name: str) -> bool:
    return host_matches(name, ISTIOD_SAN) or name.startswith("istiod")


def _is_istiod(host: object) -> bool:
    """Tell whether a destination is istiod's Service, that of a revision among them."""
    return str(host or "").partition(".")[0].partition("-")[0] == "istiod"
