"""Which part of the answers each cluster should give, and how far chance may move it."""

import math
from collections.abc import Mapping, Sequence

from isthmus.verification.evidence import (
    Addresses,
    ObservedEndpoint,
    clusters_in_network,
    gateways_of_network,
)

Z = 4.0
"""Standard deviations allowed: a good mesh is called bad about 6 times in 100 000."""


def expected_shares(
    client: str,
    endpoints: Sequence[ObservedEndpoint],
    pods: Addresses,
    gateways: Addresses,
    networks: Mapping[str, str],
) -> dict[str, float]:
    """Return the share of each cluster by the weights that the client's sidecar works with.

    A gateway's weight goes to the clusters behind it, by their ready pods; what takes no requests
    has no weight. All shares are 0 if nothing has. Source of weights: istiod counts a network's
    ready pods into its gateway's endpoint, pilot/pkg/xds/ep_filters.go.
    """
    weights = dict.fromkeys(networks, 0.0)
    for endpoint in endpoints:
        if endpoint.is_routable:
            for cluster, part in _answering_clusters(
                endpoint, client, pods, gateways, networks
            ).items():
                weights[cluster] += endpoint.weight * part
    total = sum(weights.values())
    return {cluster: weight / total if total else 0.0 for cluster, weight in weights.items()}


def bound(n: int, p: float, z: float = Z) -> tuple[int, int]:
    """Return the fewest and the most of n answers that a share p explains: |k-np| <= z*sd.

    sd = sqrt(np(1-p)) is the binomial's; round robin and least request vary less, so it is safe for
    them too. p = 0 and p = 1 are exact. n=100, p=0.5 gives 30..70.
    """
    mean, reach = n * p, z * math.sqrt(n * p * (1 - p))
    slack = 1e-9  # so that 30.000000000000004 is still 30
    return max(0, math.ceil(mean - reach - slack)), min(n, math.floor(mean + reach + slack))


def wilson(k: int, n: int, z: float = 1.96) -> tuple[float, float]:
    """Return the shares, low and high, that k of n answers are evidence for (95 % by default).

    Source: E. B. Wilson, JASA 22 (1927); unlike k/n plus or minus z*sd it is right near 0 and 1.
    """
    if not n:
        return 0.0, 1.0
    centre = k + z * z / 2
    reach = z * math.sqrt(k * (n - k) / n + z * z / 4)
    return max(0.0, (centre - reach) / (n + z * z)), min(1.0, (centre + reach) / (n + z * z))


def requests_needed(p: float, chance: float = 1e-4) -> int:
    """Return how many requests leave a share p unseen with less than this chance: (1-p)^n."""
    return math.ceil(math.log(chance) / math.log(1 - p)) if 0 < p < 1 else 1


def _answering_clusters(
    endpoint: ObservedEndpoint,
    client: str,
    pods: Addresses,
    gateways: Addresses,
    networks: Mapping[str, str],
) -> dict[str, float]:
    """Return the clusters that answer what is sent to an endpoint, and the part of each."""
    for network in dict.fromkeys(networks.values()):
        if endpoint.text in gateways_of_network(network, gateways, networks):
            return _by_pods(clusters_in_network(network, networks), pods)
    # The own network first: pods of other regions may have the same addresses.
    nearest = sorted(networks, key=lambda cluster: networks[cluster] != networks[client])
    owner = [cluster for cluster in nearest if endpoint.address in pods.get(cluster, ())]
    return {owner[0]: 1.0} if owner else {}


def _by_pods(clusters: list[str], pods: Addresses) -> dict[str, float]:
    counts = {cluster: len(pods.get(cluster, ())) for cluster in clusters}
    total = sum(counts.values())
    return {cluster: count / total for cluster, count in counts.items()} if total else {}
