"""Why a Service of type LoadBalancer gets no address however long one waits; pure.

Its controller says so in warnings about the Service (SyncLoadBalancerFailed of clouds' controllers,
FailedDeployModel of AWS's, AllocationFailed of MetalLB), and goes on trying at growing intervals:
so one that was there before may be what somebody has mended since.
"""

import re
from collections.abc import Collection, Iterable
from datetime import UTC, datetime

from isthmus.adapters.diff import Manifest
from isthmus.adapters.pod_failures import PodFailure

FINAL = re.compile(
    r"quota|limit ?exceeded|no available ips|insufficient ?(free ?addresses|balance|permission)"
    r"|permission|not authorized|unauthorized|access ?denied|forbidden",
    re.IGNORECASE,
)
"""What a person has to give: room in a quota, or a right."""
PASSING = re.compile(
    r"rate.?limit|throttl|RequestLimitExceeded|per (minute|second|user per)", re.IGNORECASE
)
"""Limits of a cloud's API on requests, not of what one may have."""
RECENT_EVENT_SECONDS = 60.0
"""Seconds since which a warning may have stood before the wait; controllers try again after 5, 10,
20 and so on (k8s.io/cloud-provider controllers/service, minRetryDelay)."""


def service_failure(
    events: Iterable[Manifest], before: Collection[str], now: datetime | None = None
) -> PodFailure | None:
    """Return why a Service gets no address, if time will not mend it.

    `events` are about it; `before` has the versions of those that were there before the wait.
    """
    warnings = [e for e in events if e.get("type") == "Warning"]
    last = max(warnings, key=lambda e: last_observed(e) or "", default=None)
    if last is None:
        return None
    said = last.get("message", "")
    if not FINAL.search(said) or PASSING.search(said):
        return None
    if version(last) in before and not _is_fresh(last, now or datetime.now(UTC)):
        return None
    meta = last["involvedObject"]
    look = f"kubectl describe service -n {meta.get('namespace', '')} {meta['name']}"
    hint = "raise that quota, or give the cluster's load balancer controller that right: "
    return PodFailure(f"{last.get('reason')}: {said}", hint + look)


def version(event: Manifest) -> str:
    """Return what changes each time that the event is told again."""
    return f"{event['metadata'].get('uid')} {event['metadata'].get('resourceVersion')}"


def last_observed(event: Manifest) -> str:
    """Return when it was told last; its API has three places for that."""
    series = (event.get("series") or {}).get("lastObservedTime")
    return str(series or event.get("lastTimestamp") or event.get("eventTime") or "")


def _is_fresh(event: Manifest, now: datetime) -> bool:
    try:
        told = datetime.fromisoformat(last_observed(event))
    except ValueError:
        return False
    # A clock that is wrong makes nothing fresh.
    return abs((now - told).total_seconds()) <= RECENT_EVENT_SECONDS
