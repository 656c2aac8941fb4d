"""Which mutual TLS a pod's sidecar takes, by the PeerAuthentications that istiod reads."""

from typing import NamedTuple

from isthmus.diagnosis.fields import dig, pairs, selects
from isthmus.diagnosis.istio_rules import root_namespace, rules
from isthmus.diagnosis.objects import labels_of, namespace_of
from isthmus.diagnosis.snapshot import Object, Snapshot


class PeerMode(NamedTuple):
    """Which mutual TLS a pod's sidecar takes at a port, and the rule that says so."""

    mode: str
    rule: Object | None


def peer_mode(snapshot: Snapshot, pod: Object, port: int) -> PeerMode:
    """Return the mutual TLS that holds at a pod's port: the mesh's, the namespace's, its own.

    Source: istio pilot/pkg/security/authn/policy_applier.go, ComposePeerAuthentication.
    """
    root, space = root_namespace(snapshot), namespace_of(pod)
    found = PeerMode("PERMISSIVE", None)
    every = rules(snapshot, "PeerAuthentication")
    wide = [r for r in every if not pairs(dig(r, "spec", "selector", "matchLabels"))]
    own = [r for r in every if r not in wide and namespace_of(r) == space != root]
    levels = [
        next((r for r in wide if namespace_of(r) == root), None),
        next((r for r in wide if namespace_of(r) == space != root), None),
        next((r for r in own if selects(dig(r, "spec", "selector"), labels_of(pod))), None),
    ]
    for rule in levels:
        mode = str(dig(rule, "spec", "mtls", "mode") or "UNSET")
        found = found if mode == "UNSET" else PeerMode(mode, rule)
    special = str(dig(levels[2], "spec", "portLevelMtls", str(port), "mode") or "UNSET")
    return found if special == "UNSET" else PeerMode(special, levels[2])
