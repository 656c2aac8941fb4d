"""A service of the users' own: what a caller's sidecar must know of it, and what it did there."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from isthmus.step_results import StepResult
from isthmus.verification.evidence import Finding, ObservedEndpoint
from isthmus.verification.shares import bound

Protocol = Literal["http", "tcp"]
DOMAIN = "cluster.local"
"""The domain that clusters have by default, that Isthmus' own rules name, and Envoy's clusters."""


class ServiceRoute(StepResult):
    """A part of the requests and the Envoy cluster that it goes to: by a subset, or none."""

    subset: str = ""
    port: int
    weight: int = 1


class ExpectedEndpoint(StepResult):
    """One endpoint that a sidecar must list, and who is behind it."""

    text: str
    """`ip:port`: a pod's of the own network, or a gateway's of another."""
    clusters: tuple[str, ...]
    pods: tuple[str, ...]
    """The ready pods, as `cluster/pod`."""
    gateway: bool = False


class ServiceExpectation(StepResult):
    """What one cluster's caller must find of a service, by what all clusters themselves say."""

    service: str
    """`namespace/name`."""
    client: str
    host: str
    """The cluster whose istiod steers it."""
    port: int = 0
    protocol: Protocol = "http"
    path: str = "/"
    endpoints: tuple[ExpectedEndpoint, ...] = ()
    routes: tuple[ServiceRoute, ...] = ()
    notes: tuple[str, ...] = ()
    """Rules of the users' own that make another share right."""
    steered: bool = False
    """Whether such a rule decides the shares, so that they cannot be computed."""
    any_table: bool = False
    """Whether such a rule leaves endpoints out, so that the table cannot be computed."""
    findings: tuple[Finding, ...] = ()
    """Why it cannot be asked at all."""

    @property
    def url(self) -> str:
        """What the caller asks, as people write it."""
        namespace, name = self.service.split("/")
        path = self.path if self.protocol == "http" else ""
        return f"{self.protocol}://{name}.{namespace}:{self.port}{path}"

    @property
    def name(self) -> str:
        """`namespace/name:port`, as sentences name it."""
        return f"{self.service}:{self.port}"

    def envoy_cluster(self, subset: str = "", port: int = 0) -> str:
        """Return Envoy's name of what requests go to (istio pilot/pkg/model, BuildSubsetKey)."""
        namespace, name = self.service.split("/")
        return f"outbound|{port or self.port}|{subset}|{name}.{namespace}.svc.{DOMAIN}"

    @property
    def envoy_clusters(self) -> list[str]:
        """Return the names of all that its requests go to, that of the service itself first."""
        routed = [self.envoy_cluster(route.subset, route.port) for route in self.routes]
        return list(dict.fromkeys([self.envoy_cluster(), *routed]))


class EndpointTraffic(StepResult):
    """What one endpoint should have got, and what the sidecar counted there."""

    text: str
    clusters: tuple[str, ...] = ()
    pods: tuple[str, ...] = ()
    share: float = 0.0
    requests: int = 0
    answered: int = 0
    errors: int = 0
    connect_failures: int = 0

    @property
    def where(self) -> str:
        """The endpoint and who is behind it, as a sentence names it."""
        return f"{self.text} ({', '.join(self.pods)})" if self.pods else self.text


class ServiceVerdict(StepResult):
    """What one client saw of a service, and the reasons if that is not as it should be."""

    service: str
    client: str
    port: int
    protocol: Protocol
    requests: int
    failed: int
    endpoints: tuple[EndpointTraffic, ...] = ()
    notes: tuple[str, ...] = ()
    steered: bool = False
    findings: tuple[Finding, ...] = ()

    @property
    def verdict(self) -> Literal["pass", "fail"]:
        """`pass` if there is no finding."""
        return "fail" if self.findings else "pass"

    @property
    def counted(self) -> int:
        """Requests that the sidecar sent to any endpoint, those that it repeated among them."""
        return sum(endpoint.requests for endpoint in self.endpoints)

    def document(self) -> dict[str, Any]:
        """Return this part of the published document."""
        return {
            "service": self.service,
            "cluster": self.client,
            "port": self.port,
            "protocol": self.protocol,
            "requests": self.requests,
            "failed": self.failed,
            "verdict": self.verdict,
            "notes": list(self.notes),
            "endpoints": [
                {
                    "address": e.text,
                    "clusters": list(e.clusters),
                    "pods": list(e.pods),
                    "expected": None if self.steered else round(e.share, 3),
                    "requests": e.requests,
                    "answered": e.answered,
                    "errors": e.errors,
                    "connectFailures": e.connect_failures,
                }
                for e in self.endpoints
            ],
        }

    def row(self) -> dict[str, str]:
        """Return a row of the table for people: an endpoint's count and the bound on it."""
        return {
            "service": f"{self.service}:{self.port}" if self.port else self.service,
            "client": self.client,
            "requests": str(self.requests),
            "failed": str(self.failed),
            "endpoints": ", ".join(self._cell(e) for e in self.endpoints) or "none",
            "verdict": self.verdict,
        }

    def _cell(self, endpoint: EndpointTraffic) -> str:
        low, high = bound(self.counted, endpoint.share)
        allowed = "" if self.steered else f" ({low}-{high})"
        return f"{'+'.join(endpoint.clusters) or endpoint.text} {endpoint.requests}{allowed}"


def service_shares(
    expectation: ServiceExpectation, tables: Mapping[str, Sequence[ObservedEndpoint]]
) -> dict[str, float]:
    """Return the share of each endpoint by the weights that the client's sidecar works with.

    `tables` are the endpoints of each Envoy cluster. Of several priorities the first alone gets
    requests (envoyproxy.io, Priority levels); where nothing takes requests all shares are 0.
    """
    shares: dict[str, float] = {}
    whole = sum(route.weight for route in expectation.routes)
    for route in expectation.routes:
        table = tables.get(expectation.envoy_cluster(route.subset, route.port), ())
        open_ones = [e for e in table if e.is_routable and e.weight]
        first = min((e.priority for e in open_ones), default=0)
        near = [e for e in open_ones if e.priority == first]
        total = sum(endpoint.weight for endpoint in near)
        for endpoint in near:
            part = route.weight / whole * endpoint.weight / total
            shares[endpoint.text] = shares.get(endpoint.text, 0.0) + part
    return shares
