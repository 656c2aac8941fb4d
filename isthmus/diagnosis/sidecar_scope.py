"""Which Sidecar holds for a caller, and which services it lets the caller's proxy know."""

from collections.abc import Mapping

from isthmus.diagnosis.fields import dig, number, selects, texts
from isthmus.diagnosis.istio_rules import host_matches, root_namespace, rules
from isthmus.diagnosis.objects import namespace_of
from isthmus.diagnosis.services import MeshService
from isthmus.diagnosis.snapshot import Object, Snapshot


def sidecar_of(snapshot: Snapshot, namespace: str, labels: Mapping[str, str]) -> Object | None:
    """Return the Sidecar that holds for the callers: chosen by labels, by namespace, the root's.

    Source: istio pilot/pkg/model/push_context.go, initSidecarScopes.
    """
    every = rules(snapshot, "Sidecar")
    chosen = [r for r in every if (s := dig(r, "spec", "workloadSelector")) and chooses(s, labels)]
    own = [r for r in chosen if namespace_of(r) == namespace]
    wide = [r for r in every if not dig(r, "spec", "workloadSelector")]
    for space in (namespace, root_namespace(snapshot)):
        own += [r for r in wide if namespace_of(r) == space]
    return next(iter(own), None)


def chooses(selector: Object, labels: Mapping[str, str]) -> bool:
    """Tell whether the workloadSelector of a rule of networking.istio.io chooses these labels."""
    return selects({"matchLabels": selector.get("labels")}, labels)


def imports(
    listener: Object, rule: Object, service: MeshService, numbers: set[float | None]
) -> bool:
    """Tell whether an egress listener of a Sidecar lets its proxies know a service."""
    port = number(dig(listener, "port", "number"))
    if port and port not in numbers and dig(listener, "port", "protocol") != "HTTP_PROXY":
        return False
    found = False
    for text in texts(listener.get("hosts")):
        space, _, host = text.partition("/")
        without = space.startswith("~") and len(space) > 1
        space = space.removeprefix("~") if without else space
        space = namespace_of(rule) if space == "." else space
        if space in ("*", service.namespace) and host_matches(host, service.host):
            if without:
                return False
            found = True
    return found
