"""What a run has found out about its environment so far; what it has not is not in here."""

from isthmus.diagnosis.diagnosis import Diagnosis
from isthmus.environment import Environment
from isthmus.step_results import Access, GatewayAddress, IstiodEndpoint
from isthmus.verification import ClientVerdict, Finding, Verification
from isthmus.verification.evidence import sort_by_cause


class RunFacts:
    """Facts of one run, by cluster."""

    def __init__(self, environment: Environment) -> None:
        self.environment = environment
        self.accesses: dict[str, Access] = {}
        self.servers: dict[str, str] = {}
        """Where each cluster's API server is reached: a URL, without anything secret."""
        self.gateways: dict[str, GatewayAddress] = {}
        self.endpoint: IstiodEndpoint | None = None
        self.clients: dict[str, ClientVerdict] = {}
        self.verification: Verification | None = None
        self.diagnosis: Diagnosis | None = None

    def add_result(self, fact: object) -> None:
        """Take in what a step returned; what says nothing of the environment is passed over."""
        match fact:
            case Access():
                self.accesses[fact.cluster] = fact
            case GatewayAddress():
                self.gateways[fact.cluster] = fact
            case IstiodEndpoint():
                self.endpoint = fact
            case ClientVerdict():
                self.clients[fact.cluster] = fact
            case Diagnosis():
                self.diagnosis = fact
            case Verification():
                self.verification = fact
                self.clients |= {client.cluster: client for client in fact.clients}

    @property
    def findings(self) -> list[Finding]:
        """Every finding once: of the whole mesh, or of the clients as long as nobody judged it."""
        if self.verification:
            return self.verification.all_findings
        return sort_by_cause(r for client in self.clients.values() for r in client.findings)
