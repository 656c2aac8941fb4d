"""What else refuses pods: other webhooks, policies, quotas; and kubelets that are not reached."""

from collections.abc import Iterator
from dataclasses import replace

from isthmus.diagnosis.fields import selects
from isthmus.diagnosis.finding import Failure, analyzer, kubectl
from isthmus.diagnosis.objects import labels_of, listed, name_of
from isthmus.diagnosis.refusals import Refusal, is_of_mesh, refusals
from isthmus.diagnosis.snapshot import ClusterSnapshot, Snapshot
from isthmus.diagnosis.webhooks import Webhook, nobody_there, webhooks

POD = ("/pods", "/*", "*/*", "*/pods")
NEEDED = frozenset(
    "/services /secrets /configmaps /namespaces /serviceaccounts /nodes apps/deployments "
    "apps/replicasets discovery.k8s.io/endpointslices /endpoints networking.istio.io/gateways "
    "networking.istio.io/virtualservices".split()
)
"""What a mesh makes besides pods; a webhook for it stops an installation, not traffic."""
POLICY_WORDS = (
    ("violates PodSecurity", "Pod Security Admission refuses the pod: its namespace's level does "
     "not allow what the containers that it names ask for"),
    ("exceeded quota", "a ResourceQuota of the namespace is used up"),
    ("failed quota", "a ResourceQuota demands requests or limits that the pod does not have"),
    ("usage per ", "a LimitRange does not allow the requests or limits of a container"),
    ("unable to validate against any security context constraint", "no SecurityContextConstraints "
     "of OpenShift allow what its containers ask for"),
    ("ValidatingAdmissionPolicy", "a ValidatingAdmissionPolicy refuses the pod"),
)  # fmt: skip
"""The words of k8s.io/pod-security-admission, of the plugins resourcequota, limitranger and
.../policy/validating, and of OpenShift's."""
OF_SIDECAR = ("istio-proxy", "istio-init", "istio-validation")
ABOUT_CONTAINERS = ("violates PodSecurity", "failed quota", "security context constraint")
"""Refusals that name the containers they are about: of the dry run's own they are no failure."""
SHOWN = 12
NOT_ALLOWED_TO_ASK = "cannot create resource"


@analyzer("F41", "Another webhook refuses pods: nobody answers it, and its failurePolicy is Fail")
def dead_webhook(snapshot: Snapshot) -> Iterator[Failure]:
    """A webhook that is none of Istio's stops what the mesh creates, since its Service is dead."""
    for cluster in snapshot.clusters:
        said = {r.failed_webhook: r for r in refusals(cluster) if not r.is_istiods}
        found: dict[str, Failure] = {}
        told = set()
        for hook in webhooks(cluster):
            if hook.is_istiods or hook.name.endswith(".istio.io"):
                continue
            if failure := _dead(cluster, hook, said.get(hook.name)):
                told.add(hook.name)
                found[hook.where] = _joined(found.get(hook.where), failure)
        yield from found.values()
        for name in sorted(said.keys() - told - {""}):
            yield _silent(cluster, name, said[name])


def _joined(one: Failure | None, other: Failure) -> Failure:
    """Return one failure for all webhooks of a configuration, as bad as the worst."""
    if one is None:
        return other
    worst = None if None in (one.severity, other.severity) else one.severity
    evidence = tuple(dict.fromkeys([*one.evidence, *other.evidence]))[:SHOWN]
    return replace(other, evidence=evidence, severity=worst)


def _dead(cluster: ClusterSnapshot, hook: Webhook, refusal: Refusal | None) -> Failure | None:
    why = nobody_there(cluster, hook) if hook.fails_closed else ""
    resources = hook.resources()
    pods = bool(resources & set(POD))
    if not why or not (pods or resources & NEEDED) or not _concerns_mesh(cluster, hook):
        return None
    narrowed = [f for f in ("objectSelector", "matchConditions") if hook.hook.get(f)]
    evidence = [f"{hook.where}: {hook.name}, failurePolicy Fail", why]
    evidence += [f"asked when these are created: {', '.join(sorted(resources)[:8])}"]
    evidence += [f"only for some objects: it has {' and '.join(narrowed)}"] if narrowed else []
    evidence += [f"{refusal.object}: {refusal.message}"] if refusal else []
    kind = str(hook.configuration.get("kind", "")).lower()
    return Failure(
        clusters=(cluster.name,),
        object=hook.where,
        evidence=tuple(evidence),
        cause="either the program behind the webhook is down, or it was uninstalled and its "
        "configuration left behind: the API server refuses all that it would have asked it about",
        fix=kubectl(cluster.name, f"delete {kind} {name_of(hook.configuration)}")
        + "  # or start its program again",
        severity=None if refusal or (pods and not narrowed) else "warning",
        certain=False,
    )


def _concerns_mesh(cluster: ClusterSnapshot, hook: Webhook) -> bool:
    """Tell whether a webhook is asked about objects of any namespace of the mesh."""
    spaces = [s for s in listed(cluster, "Namespace") if is_of_mesh(cluster, name_of(s))]
    selector = hook.hook.get("namespaceSelector")
    own = ({"kubernetes.io/metadata.name": name_of(s), **labels_of(s)} for s in spaces)
    return not spaces or any(selects(selector, labels) for labels in own)


def _silent(cluster: ClusterSnapshot, name: str, refusal: Refusal) -> Failure:
    found = [hook for hook in webhooks(cluster) if hook.name == name]
    where = found[0].where if found else ""
    kind, _, configuration = where.partition(" ")
    words = f"get {kind.lower()} {configuration} -o yaml" if where else "get pods -A"
    return Failure(
        clusters=(cluster.name,),
        object=where or f"webhook {name}",
        evidence=(f"{refusal.object}: {refusal.message}",),
        cause=f"the API server calls the webhook {name}, which is none of Istio's, gets no answer "
        "that it takes, and refuses the pod",
        fix=kubectl(cluster.name, words) + "  # the Service that it calls must answer",
    )


@analyzer("F42", "Pod Security, a quota or a policy refuses pods with a sidecar")
def refused_by_policy(snapshot: Snapshot) -> Iterator[Failure]:
    """An admission plugin or a policy engine says no; the refusal's own words tell which."""
    for cluster in snapshot.clusters:
        for refusal in refusals(cluster):
            if refusal.failed_webhook or NOT_ALLOWED_TO_ASK in refusal.message:
                continue
            if cause := _policy(refusal):
                yield Failure(
                    clusters=(cluster.name,),
                    object=refusal.object,
                    evidence=(refusal.message,),
                    cause=cause,
                    fix=_look(cluster, refusal),
                )


def _policy(refusal: Refusal) -> str:
    """Return whose refusal it is; nothing if it is of the dry run's own container alone."""
    message = refusal.message
    if webhook := refusal.denying_webhook:
        return f"the policy behind the webhook {webhook} refuses the pod: its words say why"
    for words, cause in POLICY_WORDS:
        if words in message:
            names_containers = any(each in message for each in ABOUT_CONTAINERS)
            dry = refusal.object.endswith("(dry run)")
            of_sidecar = any(name in message for name in OF_SIDECAR)
            return "" if names_containers and dry and not of_sidecar else cause
    return ""


def _look(cluster: ClusterSnapshot, refusal: Refusal) -> str:
    space, message = refusal.namespace, refusal.message
    if "violates PodSecurity" in message:
        words = f"label namespace {space} pod-security.kubernetes.io/enforce=privileged --overwrite"
        return kubectl(cluster.name, words) + "  # or install istio-cni, which needs less"
    if "quota" in message:
        return kubectl(cluster.name, f"-n {space} edit resourcequota")
    if "usage per " in message:
        return kubectl(cluster.name, f"-n {space} edit limitrange")
    return kubectl(cluster.name, f"get {'validatingwebhookconfigurations,mutatingwebhook'}"
                   "configurations")  # fmt: skip


@analyzer("F43", "The API server does not reach kubelets: exec and logs fail", severity="warning")
def kubelets_unreachable(snapshot: Snapshot) -> Iterator[Failure]:
    """exec, logs and port-forward go from the API server to port 10250 of a node."""
    for cluster in snapshot.clusters:
        if not cluster.kubelet_errors:
            continue
        said = " ".join(cluster.kubelet_errors)
        check = kubectl(cluster.name, "get --raw /api/v1/nodes/NODE/proxy/healthz")
        cause = "either a firewall is between the API server and port 10250 of these nodes, or the "
        cause += "tunnel that the cluster uses for it (konnectivity, ssh) is down"
        fix = f"# let the control plane reach TCP 10250 of the nodes; this then prints ok:\n{check}"
        if "tls: internal error" in said:
            cause = "the kubelets have no serving certificate: their certificate signing requests "
            cause += "were not approved"
            fix = kubectl(cluster.name, "get csr") + "\n"
            fix += kubectl(cluster.name, "certificate approve NAME")
        yield Failure(
            clusters=(cluster.name,),
            evidence=tuple(cluster.kubelet_errors[:5]),
            cause=f"{cause}. Traffic is not touched; what proxies know was not asked there",
            fix=fix,
            certain="tls: internal error" in said,
        )


ANALYZERS = (dead_webhook, refused_by_policy, kubelets_unreachable)
