"""What of an older or another mesh is in a cluster: it would be in our way, or we in its; pure."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from isthmus.adapters.diff import ENVIRONMENT_LABEL, KEEP, Manifest, is_kept, owner_of
from isthmus.environment.namespaces import KUBEFED_NAMESPACE, MESH_NAMESPACES
from isthmus.errors import Unprepared

ISTIO, KUBEFED = "istio.io", "kubefed.io"
MAX_LISTED_CRDS = 4


@dataclass(frozen=True)
class ClusterContent:
    """What was found: objects as they are, and the Services that webhooks lead to."""

    namespaces: Sequence[Manifest]
    webhooks: Sequence[Manifest]
    definitions: Sequence[Manifest]
    services: frozenset[str]
    """NAMESPACE/NAME of those that there are."""


def find_conflicts(
    cluster: str, environment: str, content: ClusterContent, *, kubefed: bool, carried: bool = True
) -> list[Unprepared]:
    """Return a refusal for everything that is of another mesh or federation.

    `kubefed`: it is to be installed here; `carried`: it makes the namespaces of this cluster.
    """
    found = [
        *_spaces(environment, content, kubefed, carried),
        *(_kept_namespace_conflicts(environment, content) if carried else ()),
        *_webhooks(environment, content),
        *_definitions(environment, content, kubefed),
    ]
    return [Unprepared(message, cluster=cluster, hint=hint) for message, hint in found]


def is_ours(manifest: Manifest, environment: str) -> bool:
    """Tell whether an object bears the environment's label."""
    return owner_of(manifest) == environment


def _whose(manifest: Manifest) -> str:
    return f"environment {owner}" if (owner := owner_of(manifest)) else "somebody else"


def _advice(manifests: Iterable[Manifest], command: str) -> str:
    owners = sorted({owner_of(m) for m in manifests} - {""})
    if owners:
        return f"take that down first (isthmus down {owners[0]}), or take another cluster"
    return f"if nobody needs it any more: {command}; else take another cluster"


def _spaces(
    environment: str, content: ClusterContent, kubefed: bool, carried: bool
) -> Iterator[tuple[str, str]]:
    watched = (*MESH_NAMESPACES, KUBEFED_NAMESPACE) if kubefed else MESH_NAMESPACES
    for space in content.namespaces:
        name = space["metadata"]["name"]
        if name in watched and not is_ours(space, environment):
            advice = _advice([space], f"kubectl delete namespace {name}")
            if not (carried or owner_of(space)):
                labels = f"{ENVIRONMENT_LABEL}={environment} {KEEP}=true"
                advice += f"; or hand it over: kubectl label namespace {name} {labels}"
            yield (
                f"Namespace {name} already exists and belongs to {_whose(space)}, "
                "not to this environment",
                advice,
            )


def _kept_namespace_conflicts(
    environment: str, content: ClusterContent
) -> Iterator[tuple[str, str]]:
    for space in content.namespaces:
        name = space["metadata"]["name"]
        if name in MESH_NAMESPACES and is_ours(space, environment) and is_kept(space):
            yield (
                f"Namespace {name} is to be kept (label {KEEP}), and KubeFed would take its other "
                "labels off, and delete it with the mesh",
                "set `federation: direct`; or, if it may go: "
                f"kubectl label namespace {name} {KEEP}-",
            )


def _webhooks(environment: str, content: ClusterContent) -> Iterator[tuple[str, str]]:
    for webhook in content.webhooks:
        if is_ours(webhook, environment) or not _is_istios(webhook):
            continue
        kind, name = webhook["kind"], webhook["metadata"]["name"]
        dead = ", ".join(sorted(_required_services(webhook) - content.services))
        refusing = (
            "; it rejects every request that it matches (failurePolicy Fail): "
            f"Service {dead} does not exist"
        )
        yield (
            f"{kind} {name} of another Istio exists{refusing if dead else ''}",
            _advice([webhook], f"kubectl delete {kind.lower()} {name}"),
        )


def _is_istios(configuration: Manifest) -> bool:
    """Tell a webhook of Istio's by what it calls: its own name differs from version to version."""
    called = [w.get("name", "") for w in configuration.get("webhooks") or []]
    return any(name.endswith(f".{ISTIO}") for name in called)


def _required_services(configuration: Manifest) -> set[str]:
    """Return the Services without which a configuration refuses all that it watches."""
    failing = [w for w in configuration.get("webhooks") or [] if w.get("failurePolicy") == "Fail"]
    services = [w["clientConfig"].get("service") or {} for w in failing]
    return {f"{s['namespace']}/{s['name']}" for s in services if s}


def _definitions(
    environment: str, content: ClusterContent, kubefed: bool
) -> Iterator[tuple[str, str]]:
    istios = [d for d in content.definitions if _group(d).endswith(ISTIO)]
    if foreign := [d for d in istios if not is_ours(d, environment)]:
        yield _describe_crds(foreign, "Istio")
    # Helm puts no label of ours on KubeFed's kinds: they are ours if its namespace is.
    spaces = [s for s in content.namespaces if s["metadata"]["name"] == KUBEFED_NAMESPACE]
    kinds = [d for d in content.definitions if _group(d).endswith(KUBEFED)]
    if kubefed and kinds and not any(is_ours(s, environment) for s in spaces):
        yield _describe_crds(kinds, "KubeFed")


def _describe_crds(definitions: list[Manifest], what: str) -> tuple[str, str]:
    names = [d["metadata"]["name"] for d in definitions]
    more = f" and {len(names) - MAX_LISTED_CRDS} more" if len(names) > MAX_LISTED_CRDS else ""
    # With its kinds goes every object of them, so that it is said which to look at first.
    look = f"kubectl get {names[0]} -A, then kubectl delete customresourcedefinition NAME"
    return (
        f"CustomResourceDefinitions of another {what} exist: "
        f"{', '.join(names[:MAX_LISTED_CRDS])}{more}",
        _advice(definitions, look),
    )


def _group(definition: Manifest) -> str:
    return str(definition["metadata"]["name"]).partition(".")[2]
