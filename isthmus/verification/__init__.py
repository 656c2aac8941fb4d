"""Is it one mesh? Raw evidence from the clusters in, a verdict with reasons out. Pure: no I/O."""

from isthmus.verification.answers import (
    Answers,
    by_cluster,
    parse_answers,
    probe_script,
    strangers,
    told_of,
)
from isthmus.verification.connections import are_open, counted_since
from isthmus.verification.endpoints import (
    connections,
    expected_endpoints,
    judge_endpoints,
    judge_gateway,
    lists,
    parse_clusters,
)
from isthmus.verification.evaluation import evaluate, judge_client
from isthmus.verification.evidence import Finding, ObservedEndpoint, ReportedState
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
    "are_open",
    "bound",
    "by_cluster",
    "connections",
    "counted_since",
    "evaluate",
    "expected_endpoints",
    "expected_shares",
    "judge_client",
    "judge_endpoints",
    "judge_gateway",
    "lists",
    "parse_answers",
    "parse_clusters",
    "probe_script",
    "strangers",
    "table",
    "told_of",
    "wilson",
]
