"""The reasons that traffic gives, a function for each way in which answers can be wrong."""

from collections import Counter
from collections.abc import Mapping, Sequence

from isthmus.verification.evidence import Reason
from isthmus.verification.shares import bound, enough, wilson
from isthmus.verification.wording import (
    caller_log,
    gateway_pods,
    gateway_view,
    kubectl,
    listed,
    reason,
    rules,
    sample_pods,
)

_TOP = 3
"""How many kinds of one thing a sentence lists."""
_PING_PONG = (
    "gateways send requests back to the network they came from, which the numbers fit "
    "(ISTIO_META_REQUESTED_NETWORK_VIEW is not set on them)"
)
_PREFERENCE = "a DestinationRule or locality setting prefers some regions"


def failures(client: str, requests: int, failed: Sequence[str]) -> Reason:
    """Some requests were not answered."""
    kinds = listed([f"{count} x {why}" for why, count in Counter(failed).most_common(_TOP)])
    return reason(
        "failed requests",
        client,
        f"{client}: {len(failed)} of {requests} requests failed ({kinds}), where none may",
        "an endpoint that cannot be reached, or clusters without a common root of trust",
        caller_log(client),
    )


def unknown_instances(client: str, instances: Sequence[str]) -> Reason:
    """Answers came from pods that no cluster reports."""
    names = listed(sorted(set(instances))[:_TOP])
    return reason(
        "unknown instance",
        client,
        f"{client}: {len(instances)} answers came from instances that no cluster reports as its "
        f"pods ({names}), where each must be known",
        "a pod was replaced meanwhile (then verify again), or something else has this name",
        sample_pods(client),
    )


def reused(client: str, count: int, requests: int) -> Reason:
    """The probe did not ask as it should have."""
    return reason(
        "reused connections",
        client,
        f"{client}: {count} of {requests} answers came over a connection of an earlier request, "
        "where each was to have its own, so the shares prove nothing",
        "the caller has no sidecar, or one that ignores `Connection: close`",
        kubectl(client, "-n sample get pods -l app=sleep -o yaml"),
    )


def silent(
    client: str,
    cluster: str,
    counts: Mapping[str, int],
    share: float,
    ways: Sequence[str],
    hidden: bool,
) -> Reason:
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
    cause = f"{cluster}'s pods do not answer"
    if ways:
        finding += f"; its gateway {listed(ways)} is in the endpoint table and leads nowhere"
        cause = f"no gateway pod runs in {cluster}, or that address does not lead to it"
    return reason(
        "silent",
        cluster,
        finding,
        cause + _or_chance(good, share),
        gateway_pods(cluster) if ways else sample_pods(cluster),
    )


def _or_chance(good: int, share: float) -> str:
    needed = enough(share)
    return f", or mere chance (set verification.requests to {needed})" if good < needed else ""


def skewed(
    client: str,
    counts: Mapping[str, int],
    expected: Mapping[str, float],
    sent_back: str | None,
    host: str,
) -> Reason:
    """Shares lie outside what chance explains; `sent_back` by whom, if they fit failure F32."""
    good = sum(counts.values())
    shares = listed([_share(c, counts[c], good, expected[c]) for c in counts])
    return reason(
        "sends back" if sent_back else "skewed",
        sent_back or client,
        f"{client}: of {good} good answers {shares}",
        _PING_PONG if sent_back else _PREFERENCE,
        gateway_view(sent_back) if sent_back else rules(host),
    )


def _share(cluster: str, k: int, good: int, p: float) -> str:
    low, high = bound(good, p)
    least, most = wilson(k, good)
    return (
        f"{k} came from {cluster} (about {good * p:.0f} expected, {low} to {high} allowed; seen "
        f"share {least:.2f} to {most:.2f})"
    )


def together(own: int, good: int, expected: float, clusters: Sequence[str]) -> Reason:
    """All clients together are answered too often or too seldom by their own network."""
    many = own > expected
    return reason(
        "sends back" if many else "skewed",
        clusters[0],
        f"{listed(clusters)} together: {own} of {good} answers came from the client's own network, "
        f"where about {expected:.0f} were expected; too {'many' if many else 'few'} for chance, "
        "though no client alone shows it",
        _PING_PONG if many else _PREFERENCE,
        gateway_view(clusters[-1]) if many else rules(clusters[0]),
    )


def no_client(cluster: str) -> Reason:
    """Nothing was asked from a cluster of the environment."""
    return reason(
        "no client",
        cluster,
        f"{cluster}: no request was sent from here, where every region must ask",
        "the caller's pod is not running",
        kubectl(cluster, "-n sample get pods -l app=sleep"),
    )
