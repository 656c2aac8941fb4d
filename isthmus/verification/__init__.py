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
    has_every_endpoint_answered,
    subtract_counts,
)
from isthmus.verification.shares import bound, expected_shares, wilson
from isthmus.verification.verdict import ClientVerdict, Verification, VerificationFailed, table

__all__ = [
    "Answers",
    "ClientVerdict",
    "Finding",
    "ObservedEndpoint",
    "ReportedState",
    "Verification",
    "VerificationFailed",
    "bound",
    "by_cluster",
    "count_active_connections",
    "count_reported",
    "evaluate",
    "evaluate_client",
    "evaluate_endpoints",
    "evaluate_gateway",
    "expected_endpoints",
    "expected_shares",
    "has_endpoint",
    "has_every_endpoint_answered",
    "parse_answers",
    "parse_clusters",
    "probe_script",
    "subtract_counts",
    "table",
    "unknown_instances",
    "wilson",
]
