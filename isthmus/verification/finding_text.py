"""How every reason is worded: what was seen and expected, likely cause, what to type.

The commands work once KUBECONFIG is what `isthmus kubeconfig` prints; the verdict's hint says so.
"""

from collections.abc import Sequence

from isthmus.verification.evidence import Finding


def make_finding(kind: str, about: str, finding: str, cause: str, command: str) -> Finding:
    """Return a reason whose text is one paragraph for a person."""
    return Finding(
        kind=kind, about=about, text=f"{finding}. Likely cause: {cause}. Type: {command}"
    )


def kubectl(cluster: str, rest: str) -> str:
    """Return a kubectl command on one cluster, by its context."""
    return f"kubectl --context {cluster} {rest}"


def gateway_pods(cluster: str) -> str:
    """Return the command that shows the gateway's pods, addresses and endpoints."""
    return kubectl(cluster, "-n istio-system get pods,services,endpoints")


def gateway_view(cluster: str) -> str:
    """Return the command that shows whether the gateway keeps to its own network."""
    return kubectl(
        cluster, "-n istio-system get deployments -o yaml | grep -A1 REQUESTED_NETWORK_VIEW"
    )


def sample_pods(cluster: str) -> str:
    """Return the command that shows the sample's pods."""
    return kubectl(cluster, "-n sample get pods -o wide")


def caller_log(cluster: str) -> str:
    """Return the command that shows what the caller's sidecar complains about."""
    return kubectl(cluster, "-n sample logs deployment/sleep -c istio-proxy --tail=50")


def routing_rules(host: str) -> str:
    """Return the command that shows what steers traffic; the whole mesh obeys the host's rules."""
    return kubectl(host, "get destinationrules -A -o yaml")


def listed(things: Sequence[str]) -> str:
    """Return things as a sentence lists them."""
    return ", ".join(things) or "none"
