"""What a proxy counted at its endpoints: whether a way is open, and what is wrong with one."""

from collections.abc import Sequence

from isthmus.verification.evidence import ObservedEndpoint

COUNTS = {
    "tried": "rq_total",
    "answered": "rq_success",
    "errors": "rq_error",
    "unconnected": "cx_connect_fail",
}
"""Envoy's names for them (envoy/upstream/host_description.h, ALL_HOST_STATS)."""


def subtract_counts(
    before: Sequence[ObservedEndpoint], now: Sequence[ObservedEndpoint]
) -> list[ObservedEndpoint]:
    """Return the endpoints of now with what was counted since then alone."""
    then = {endpoint.text: endpoint for endpoint in before}
    return [_less(endpoint, then.get(endpoint.text)) for endpoint in now]


def has_every_endpoint_answered(
    since: Sequence[ObservedEndpoint], lately: Sequence[ObservedEndpoint]
) -> bool:
    """Tell whether every endpoint that may get requests answered one since, and none failed lately.

    What a proxy does not count, or a weight of 0 keeps requests from, is not asked for.
    """
    answered = all(e.answered or not (e.counted and e.is_routable and e.weight) for e in since)
    return answered and not any(e.errors or e.unconnected for e in lately)


def _less(now: ObservedEndpoint, then: ObservedEndpoint | None) -> ObservedEndpoint:
    # A proxy that was started anew counts from 0 again.
    if then is None or now.tried < then.tried:
        return now
    less = {name: max(0, getattr(now, name) - getattr(then, name)) for name in COUNTS}
    return now.model_copy(update=less)
