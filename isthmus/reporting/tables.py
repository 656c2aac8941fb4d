"""The tables: clusters, what each client's endpoint table should hold and holds, who answered."""

from isthmus import verification
from isthmus.environment import ClusterSpec
from isthmus.reporting.escape import single_line
from isthmus.reporting.run_facts import RunFacts
from isthmus.verification import ClientVerdict, Verification

TableRows = list[dict[str, str]]


def clusters(known: RunFacts) -> TableRows:
    """Return a row for each cluster that was reached; a cell is empty as long as it is unknown."""
    found = known.environment.clusters
    return [_cluster(known, cluster) for cluster in found if cluster.name in known.accesses]


def endpoints(known: RunFacts) -> TableRows:
    """Return a row for each client: what its sidecar was to list, lists, and the difference."""
    return [_endpoints(client) for client in known.clients.values()]


def answers(known: RunFacts) -> TableRows:
    """Return a row for each client; a cluster's column holds its answers and the bound on them."""
    judged = known.verification or Verification(
        environment=known.environment.name, clients=list(known.clients.values())
    )
    return verification.table(judged)


def services(known: RunFacts) -> TableRows:
    """Return a row for each service of the users' own and client: how many each endpoint got."""
    return verification.service_rows(known.verification) if known.verification else []


def _cluster(known: RunFacts, cluster: ClusterSpec) -> dict[str, str]:
    name, endpoint = cluster.name, known.endpoint
    gateway = known.gateways.get(name)
    return {
        "cluster": name,
        "role": "host" if cluster == known.environment.host else "remote",
        "region": cluster.region,
        "network": cluster.network,
        "API server": single_line(known.servers.get(name, "")),
        "gateway": single_line(gateway.found if gateway else ""),
        "istiod endpoint": single_line(
            endpoint.found if endpoint and endpoint.cluster == name else ""
        ),
    }


def _endpoints(client: ClientVerdict) -> dict[str, str]:
    expected, observed = set(client.expected_endpoints), set(client.observed_endpoints)
    return {
        "client": client.cluster,
        "missing": _listed(expected - observed),
        "unexpected": _listed(observed - expected),
        "expected": _listed(expected),
        "observed": _listed(observed),
    }


def _listed(things: set[str]) -> str:
    return single_line(", ".join(sorted(things)))
