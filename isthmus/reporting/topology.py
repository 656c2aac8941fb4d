"""The mesh as a picture in Mermaid: clusters, their gateways, who answered whom and how often.

A node's identity is a number, since a name may be a word of Mermaid's; names stand in labels only.
"""

from collections.abc import Iterator

from isthmus.environment import ClusterSpec
from isthmus.reporting import mermaid_theme
from isthmus.reporting.escape import label
from isthmus.reporting.run_facts import RunFacts
from isthmus.step_results import GatewayAddress
from isthmus.verification import ClientVerdict, bound

MAX_CLUSTERS_ALL_ARROWS = 4
"""Clusters above which an arrow is only drawn where something is wrong; ten have ninety."""


def picture(known: RunFacts) -> str:
    """Return the mesh as far as it is known, red where findings are; empty if nothing is."""
    clusters = known.environment.clusters
    drawn = {c.name: n for n, c in enumerate(clusters) if c.name in known.accesses}
    if not drawn:
        return ""
    arrows = list(_arrows(known, drawn))
    return "\n".join(
        [
            mermaid_theme.directive(),
            "flowchart LR",
            *(line for c in clusters if c.name in drawn for line in _box(known, c, drawn[c.name])),
            *(text for text, _ in arrows),
            *_red(known, drawn, [number for number, (_, bad) in enumerate(arrows) if bad]),
        ]
    )


def has_hidden_arrows(known: RunFacts) -> bool:
    """Tell whether arrows that are as expected are left out."""
    return len(known.environment.clusters) > MAX_CLUSTERS_ALL_ARROWS


def share(client: ClientVerdict, cluster: str) -> str:
    """Return a cluster's share of a client's answers and what is allowed: `52 % (30-70)`."""
    low, high = bound(client.good_answers, client.expected[cluster])
    part, least, most = (
        round(100 * count / client.good_answers) if client.good_answers else 0
        for count in (client.answers[cluster], low, high)
    )
    return f"{part} % ({least}-{most})"


def _box(known: RunFacts, cluster: ClusterSpec, number: int) -> Iterator[str]:
    role = "host" if cluster == known.environment.host else "remote"
    kinds = sorted({finding.kind for finding in known.findings if finding.about == cluster.name})
    lines = [f"{cluster.name} ({role})", f"region {cluster.region}", f"network {cluster.network}"]
    title = "<br/>".join(map(label, [*lines, *(f"finding: {kind}" for kind in kinds)]))
    yield f'subgraph c{number}["{title}"]'
    yield from _inside(known, cluster.name, number)
    yield "end"


def _inside(known: RunFacts, name: str, number: int) -> Iterator[str]:
    if client := known.clients.get(name):
        own = f"{label('answers itself')}<br/>{label(share(client, name))}"
        yield f'  s{number}(["sample<br/>{own}"])'
    if gateway := known.gateways.get(name):
        yield f'  g{number}["gateway<br/>{label(gateway.found)}"]'
    if known.endpoint and known.endpoint.cluster == name:
        yield f'  e{number}{{{{"istiod endpoint<br/>{label(known.endpoint.found)}"}}}}'


def _arrows(known: RunFacts, drawn: dict[str, int]) -> Iterator[tuple[str, bool]]:
    """Yield each arrow's text, and whether it is red."""
    networks = {cluster.name: cluster.network for cluster in known.environment.clusters}
    for client in known.clients.values():
        for other in client.answers:
            if other == client.cluster or not {client.cluster, other} <= drawn.keys():
                continue
            bad = _is_bad(client, other)
            if bad or not has_hidden_arrows(known):
                same = networks[other] == networks[client.cluster]
                way = None if same else known.gateways.get(other)
                yield _arrow(client, other, drawn, way), bad
    yield from ((text, False) for text in _control(known, drawn))


def _arrow(
    client: ClientVerdict, other: str, drawn: dict[str, int], way: GatewayAddress | None
) -> str:
    there = drawn[other]
    end = f"g{there}" if way else f"s{there}"
    return f's{drawn[client.cluster]} -->|"{label(share(client, other))}"| {end}'


def _control(known: RunFacts, drawn: dict[str, int]) -> Iterator[str]:
    endpoint = known.endpoint
    if endpoint is None or endpoint.cluster not in drawn or has_hidden_arrows(known):
        return
    for name in known.gateways:
        if name in drawn and name != endpoint.cluster:
            yield f'c{drawn[name]} -.->|"control plane"| e{drawn[endpoint.cluster]}'


def _is_bad(client: ClientVerdict, cluster: str) -> bool:
    low, high = bound(client.good_answers, client.expected[cluster])
    about = {finding.about for finding in client.findings}
    return cluster in about or not low <= client.answers[cluster] <= high


def _red(known: RunFacts, drawn: dict[str, int], arrows: list[int]) -> Iterator[str]:
    style = f"stroke:{mermaid_theme.RED},stroke-width:3px"
    guilty = {finding.about for finding in known.findings}
    yield from (f"style c{number} {style}" for name, number in drawn.items() if name in guilty)
    if arrows:
        yield f"linkStyle {','.join(map(str, arrows))} {style}"
