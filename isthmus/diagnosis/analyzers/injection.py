"""Injection: the API server of each cluster reaches istiod, and takes it for istiod."""

from collections.abc import Iterator, Sequence

from isthmus.diagnosis.fields import mappings, pairs, selects, texts
from isthmus.diagnosis.finding import Failure, analyzer, kubectl
from isthmus.diagnosis.objects import find, labelled, labels_of, was_listed
from isthmus.diagnosis.refusals import Refusal, is_injected, refusals
from isthmus.diagnosis.services import up
from isthmus.diagnosis.signers import chains_in_use, signer_of
from isthmus.diagnosis.snapshot import CertificateFacts, ClusterSnapshot, Snapshot
from isthmus.diagnosis.trust import describe_all, leads_to
from isthmus.diagnosis.webhooks import MUTATING, Webhook, injectors, webhooks
from isthmus.diagnosis.wiring import has_mesh
from isthmus.environment.namespaces import ISTIO_NAMESPACE, SAMPLE_NAMESPACE

SERVICE = "kubernetes.io/service-name"


@analyzer("F09", "A webhook's caBundle is empty or not the CA of istiod's certificate")
def other_bundle(snapshot: Snapshot) -> Iterator[Failure]:
    """The API server cannot verify istiod (x509), so no pod of an injected namespace is created."""
    chains = chains_in_use(snapshot)
    for cluster in snapshot.clusters:
        chain = chains[cluster.name]
        said = [r for r in refusals(cluster) if r.is_istiods and r.is_of_trust]
        wrong: dict[str, list[str]] = {}
        for hook in webhooks(cluster):
            if hook.is_istiods and hook.fails_closed and (why := _bundle_fault(hook, chain)):
                wrong.setdefault(hook.where, []).append(f"{hook.name}: {why}")
        for where, lines in wrong.items():
            yield _untrusted(snapshot, cluster, where, [*lines, *(r.message for r in said[:1])])
        if said and not wrong:
            yield _untrusted(snapshot, cluster, said[0].object, [said[0].message])


def _bundle_fault(hook: Webhook, chain: Sequence[CertificateFacts]) -> str:
    bundle = hook.bundle
    if bundle is None:
        return "its caBundle holds no certificates"
    if not bundle:
        return "its caBundle is empty"
    if chain and not leads_to(chain, bundle):
        return (
            f"its caBundle is {describe_all(bundle)}, while istiod presents a certificate issued "
            f"by {chain[0].issuer}, with {describe_all(chain[1:])} above it"
        )
    return ""


def _untrusted(
    snapshot: Snapshot, cluster: ClusterSnapshot, where: str, lines: list[str]
) -> Failure:
    signer = signer_of(snapshot, cluster).name
    restart = kubectl(signer, f"-n {ISTIO_NAMESPACE} rollout restart deployment/istiod")
    return Failure(
        clusters=(cluster.name,),
        object=where,
        evidence=tuple(dict.fromkeys(lines)),
        cause="x509: certificate signed by unknown authority: the API server cannot verify "
        "istiod. istiod writes the caBundle itself: either it cannot (no way to this API server, "
        "no permission), or another tool writes over it",
        fix=f"{up(snapshot)}\n{restart}",
        certain=False,
    )


@analyzer("F10", "The API server does not reach istiod's webhook: no pod can be created")
def webhook_unreachable(snapshot: Snapshot) -> Iterator[Failure]:
    """A pod of an injected namespace was refused because istiod's webhook could not be called."""
    for cluster in snapshot.clusters:
        every = list(refusals(cluster))
        if said := [r for r in every if r.is_istiods and not r.is_of_trust]:
            yield _unreachable(snapshot, cluster, said)
        elif late := [r for r in every if r.is_late]:
            yield _late(snapshot, cluster, late[0])


def _late(snapshot: Snapshot, cluster: ClusterSnapshot, said: Refusal) -> Failure:
    place = ", ".join(_behind(cluster)) or "istiod's Service"
    return Failure(
        clusters=(cluster.name,),
        object=said.object,
        evidence=(
            f"{said.object}: {said.message}",
            f"{cluster.name} answered other questions; its Service istiod leads to {place}",
        ),
        cause=f"the API server waits for a webhook: either {place} sends nothing back (a firewall "
        "or security group, no route), or another webhook does not answer",
        fix=f"# let {cluster.name}'s control plane reach {place} by TCP, then:\n{up(snapshot)}",
        certain=False,
    )


def _unreachable(snapshot: Snapshot, cluster: ClusterSnapshot, said: list[Refusal]) -> Failure:
    message = said[0].message
    ways = _behind(cluster)
    place = ", ".join(ways) or "istiod's Service"
    fix, certain = up(snapshot), True
    if "no endpoints available" in message or "not found" in message:
        cause = f"the Service istiod of {cluster.name} is missing or leads to nobody"
    elif "connection refused" in message:
        cause = f"nothing listens at {place}, to which the Service istiod leads"
    elif any(word in message for word in ("deadline exceeded", "timeout", "timed out", "no route")):
        cause = f"nothing comes back from {place}: either a firewall or security group does not "
        cause += f"let the API server of {cluster.name} there, it has no route, or istiod is too "
        cause += "busy to answer"
        fix = f"# let the control plane of {cluster.name} reach {place} by TCP, then:\n{fix}"
        certain = False
    else:
        cause, certain = "the call of the webhook fails: see the API server's words", False
    return Failure(
        clusters=(cluster.name,),
        object=said[0].object,
        evidence=tuple(
            dict.fromkeys([*(f"{r.object}: {r.message}" for r in said[:3]),
                           f"the Service istiod leads to {place}"])
        ),
        cause=cause,
        fix=fix,
        certain=certain,
    )  # fmt: skip


def _behind(cluster: ClusterSnapshot) -> list[str]:
    """Return where calls of istiod's webhook end up: `198.18.1.200:15017`."""
    found = []
    for each in labelled(cluster, "EndpointSlice", {SERVICE: "istiod"}, ISTIO_NAMESPACE):
        named = {str(p.get("name")): p.get("port") for p in mappings(each.get("ports"))}
        port = named.get("tcp-webhook", named.get("https-webhook"))
        for endpoint in mappings(each.get("endpoints")):
            found += [f"{address}:{port}" for address in texts(endpoint.get("addresses")) if port]
    return found


@analyzer("F57", "Pods are created without a sidecar: no injector, or no label on the namespace")
def not_injected(snapshot: Snapshot) -> Iterator[Failure]:
    """Nothing refuses the pod, and it gets no proxy: its requests are outside the mesh."""
    for cluster in filter(has_mesh, snapshot.clusters):
        bare = [a.namespace for a in cluster.admission if a.allowed and not a.injected]
        if was_listed(cluster, MUTATING) and not injectors(cluster):
            yield _without_injector(snapshot, cluster)
        else:
            yield from (_bare(snapshot, cluster, namespace) for namespace in bare)


def _without_injector(snapshot: Snapshot, cluster: ClusterSnapshot) -> Failure:
    return Failure(
        clusters=(cluster.name,),
        object=f"{MUTATING} istio-sidecar-injector",
        evidence=(f"{cluster.name} has no {MUTATING} that calls istiod",),
        cause="the injector's configuration was deleted, or Istio is not installed: new pods get "
        "no sidecar",
        fix=up(snapshot),
    )


def _bare(snapshot: Snapshot, cluster: ClusterSnapshot, namespace: str) -> Failure:
    space = find(cluster, "Namespace", namespace)
    labels = labels_of(space) if space else {}
    told = {k: v for k, v in labels.items() if k in ("istio-injection", "istio.io/rev")}
    evidence = (
        f"a pod in {namespace} was admitted without a container istio-proxy (dry run)",
        f"labels of the namespace that ask for injection: {told or 'none'}",
    )
    words = f"label namespace {namespace} istio-injection=enabled --overwrite"
    ours = namespace == SAMPLE_NAMESPACE
    fix, certain = (up(snapshot) if ours else kubectl(cluster.name, words)), True
    if space is not None and not is_injected(space):
        cause = f"the namespace lacks the label istio-injection=enabled in {cluster.name}"
    elif not any(_selects(hook, labels) for hook in injectors(cluster)):
        cause = "no webhook of an injector selects the namespace's labels"
    else:
        cause = "either the injector's failurePolicy is Ignore and it could not be called, or its "
        cause += "own rules leave the pod out (objectSelector, neverInjectSelector, policy)"
        certain = False
    return Failure(
        clusters=(cluster.name,),
        object=f"Namespace {namespace}",
        evidence=evidence,
        cause=cause,
        fix=fix,
        certain=certain,
    )


def _selects(hook: Webhook, labels: dict[str, str]) -> bool:
    return selects(hook.hook.get("namespaceSelector"), pairs(labels))


ANALYZERS = (other_bundle, webhook_unreachable, not_injected)
