"""Is it one mesh? Raw evidence from the clusters in, a verdict with reasons out. Pure: no I/O."""

from isthmus.verification.answers import (
    Answers,
    by_cluster,
    count_reported,
    parse_answers,
    probe_script,
    unknown_instances,
)
from isthmus.verification.endpoints import (
    count_active_connections,
    evaluate_endpoints,
    evaluate_gateway,
    expected_endpoints,
    has_endpoint,
    parse_clusters,
)
from isthmus.verification.evaluation import evaluate, evaluate_client
from isthmus.verification.evidence import (
    Finding,
    ObservedEndpoint,
    ReportedState,
    gateways_of_network,
    has_every_endpoint_answered,
    subtract_counts,
)
from isthmus.verification.service_evaluation import (
    evaluate_service,
    has_expected_table,
    requests_for,
    unasked,
)
from isthmus.verification.service_probe import count_told, parse_service_answers, service_script
from isthmus.verification.services import (
    ExpectedEndpoint,
    Protocol,
    ServiceExpectation,
    ServiceRoute,
    ServiceVerdict,
)
from isthmus.verification.shares import bound, expected_shares, wilson
from isthmus.verification.verdict import (
    ClientVerdict,
    Verification,
    VerificationFailed,
    service_rows,
    table,
)

__all__ = [
    "Answers",
    "ClientVerdict",
    "ExpectedEndpoint",
    "Finding",
    "ObservedEndpoint",
    "Protocol",
    "ReportedState",
    "ServiceExpectation",
    "ServiceRoute",
    "ServiceVerdict",
    "Verification",
    "VerificationFailed",
    "bound",
    "by_cluster",
    "count_active_connections",
    "count_reported",
    "count_told",
    "evaluate",
    "evaluate_client",
    "evaluate_endpoints",
    "evaluate_gateway",
    "evaluate_service",
    "expected_endpoints",
    "expected_shares",
    "gateways_of_network",
    "has_endpoint",
    "has_every_endpoint_answered",
    "has_expected_table",
    "parse_answers",
    "parse_clusters",
    "parse_service_answers",
    "probe_script",
    "requests_for",
    "service_rows",
    "service_script",
    "subtract_counts",
    "table",
    "unasked",
    "unknown_instances",
    "wilson",
]
