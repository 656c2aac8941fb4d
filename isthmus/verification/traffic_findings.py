"""The reasons that traffic gives, a function for each way in which answers can be wrong."""

from collections import Counter
from collections.abc import Mapping, Sequence

from isthmus.verification.evidence import UNKNOWN_CAUSE, Finding, ObservedEndpoint
from isthmus.verification.finding_text import (
    caller_log,
    gateway_pods,
    kubectl,
    listed,
    make_finding,
    routing_rules,
    sample_pods,
)
from isthmus.verification.shares import bound, requests_needed, wilson

_TOP = 3
"""How many kinds of one thing a sentence lists."""
_PREFERENCE = (
    "a rule of Istio prefers some regions (DestinationRule, VirtualService, locality), or what "
    "another finding names"
)
_CAUSES = (
    ("RBAC: access denied", "an AuthorizationPolicy refuses the caller"),
    ("CERTIFICATE_VERIFY_FAILED", "clusters without a common root CA"),
    ("no healthy upstream", "the sidecar has no endpoint that takes requests"),
    ("connection timeout", "an endpoint in the table that nobody answers at (firewall, no route)"),
    ("Connection refused", "an endpoint in the table at which nobody listens"),
    ("Resolving timed out", "the cluster's DNS does not answer"),
    ("Could not resolve", "the cluster's DNS does not know the Service"),
)
"""What a failure itself says, and what it means (Envoy's response details, curl's messages)."""
_UNNAMED = f"{UNKNOWN_CAUSE}; the sidecar's log has each request's response flags"


def failures(client: str, requests: int, failed: Sequence[str]) -> Finding:
    """Some requests were not answered."""
    kinds = listed([f"{count} x {why}" for why, count in Counter(failed).most_common(_TOP)])
    return make_finding(
        "failed requests",
        client,
        f"{client}: {len(failed)} of {requests} requests failed ({kinds}), where none may",
        _cause_of(failed),
        caller_log(client),
    )


def unknown_instances(client: str, instances: Sequence[str]) -> Finding:
    """Answers came from pods that no cluster reports."""
    names = listed(sorted(set(instances))[:_TOP])
    return make_finding(
        "unknown instance",
        client,
        f"{client}: {len(instances)} answers came from instances that no cluster reports as its "
        f"pods ({names}), where each must be known",
        "a pod was replaced meanwhile (then verify again), or something else has this name",
        sample_pods(client),
    )


def reused(client: str, count: int, requests: int) -> Finding:
    """The probe did not ask as it should have."""
    return make_finding(
        "reused connections",
        client,
        f"{client}: {count} of {requests} answers came over a connection of an earlier request, "
        "where each was to have its own, so the shares prove nothing",
        "the caller has no sidecar, or one that ignores `Connection: close`",
        kubectl(client, "-n sample get pods -l app=sleep -o yaml"),
    )


def _cause_of(failed: Sequence[str]) -> str:
    """Return what the failures themselves say; nothing is guessed from their number."""
    causes = [cause for said, cause in _CAUSES if any(said in failure for failure in failed)]
    return listed(causes) if causes else _UNNAMED


def silent(
    client: str,
    cluster: str,
    counts: Mapping[str, int],
    share: float,
    ways: Sequence[ObservedEndpoint],
    hidden: bool,
    host: str,
) -> Finding:
    """A cluster in the table never answered although others did (failure F33).

    `ways` are its gateways if it is in another network; `hidden` if no request failed.
    """
    good = sum(counts.values())
    low, high = bound(good, share)
    finding = (
        f"{client}: {good} good answers, all from {listed([c for c in counts if counts[c]])} and "
        f"none from {cluster}, where about {good * share:.0f} were expected ({low} to {high} "
        "allowed)"
    )
    if hidden:
        finding += "; no request failed, because retries went to who does answer"
    cause, command = f"{cluster}'s pods do not answer", sample_pods(cluster)
    if ways:
        seen, cause, command = _gateway_cause(cluster, ways, host)
        finding += f"; {seen}"
    if not any(way.unconnected or way.errors for way in ways):
        cause += _chance_note(good, share)
    return make_finding("silent", cluster, finding, cause, command)


def _gateway_cause(
    cluster: str, ways: Sequence[ObservedEndpoint], host: str
) -> tuple[str, str, str]:
    """Return what the caller's sidecar itself counted at a gateway, the likely cause, a command."""
    place = f"its gateway {listed([way.text for way in ways])}"
    refused, errors = (sum(getattr(w, n) for w in ways) for n in ("unconnected", "errors"))
    if refused:
        cause = "nobody listens at that address, or a firewall is between"
        seen = f"{refused} connections to {place} failed"
    elif errors:
        cause = "the gateway runs but forwards nothing to the sample (its Gateway object, its pods)"
        seen = f"{errors} requests to {place} ended in an error"
    elif all(way.counted and not way.tried for way in ways):
        cause = "a rule of Istio keeps requests away from it (VirtualService, DestinationRule)"
        return f"the caller's sidecar sent none to {place}", cause, routing_rules(host)
    else:
        cause, seen = "nothing behind that address answers", f"{place} is in the endpoint table"
    return seen, cause, gateway_pods(cluster)


def _chance_note(good: int, share: float) -> str:
    needed = requests_needed(share)
    return f", or chance (set verification.requests to {needed})" if good < needed else ""


def skewed(
    client: str,
    counts: Mapping[str, int],
    expected: Mapping[str, float],
    seen: Sequence[ObservedEndpoint],
    host: str,
) -> Finding:
    """Shares lie outside what chance explains; what the sidecar counted as failed says where."""
    good = sum(counts.values())
    finding = f"{client}: of {good} good answers " + listed(
        [_share(c, counts[c], good, expected[c]) for c in counts]
    )
    if failing := [e for e in seen if e.errors or e.unconnected]:
        tries = sum(max(e.errors, e.unconnected) for e in failing)
        where = listed([e.text for e in failing])
        finding += f"; {tries} tries at {where} failed and were repeated elsewhere"
        cause = "that endpoint answers only at times"
        return make_finding("skewed", client, finding, cause, caller_log(client))
    return make_finding("skewed", client, finding, _PREFERENCE, routing_rules(host))


def _share(cluster: str, k: int, good: int, p: float) -> str:
    low, high = bound(good, p)
    least, most = wilson(k, good)
    return (
        f"{k} came from {cluster} (about {good * p:.0f} expected, {low} to {high} allowed; seen "
        f"share {least:.2f} to {most:.2f})"
    )


def together(own: int, good: int, expected: float, clusters: Sequence[str]) -> Finding:
    """All clients together are answered too often or too seldom by their own network."""
    many = own > expected
    return make_finding(
        "skewed",
        clusters[0],
        f"{listed(clusters)} together: {own} of {good} answers came from the client's own network, "
        f"where about {expected:.0f} were expected; too {'many' if many else 'few'} for chance, "
        "though no client alone shows it",
        _PREFERENCE,
        routing_rules(clusters[0]),
    )


def no_client(cluster: str) -> Finding:
    """Nothing was asked from a cluster of the environment."""
    return make_finding(
        "no client",
        cluster,
        f"{cluster}: no request was sent from here, where every region must ask",
        "there is no Ready pod of the caller",
        kubectl(cluster, "-n sample get pods -l app=sleep"),
    )
