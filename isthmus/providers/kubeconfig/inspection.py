"""What one cluster says when it is asked before the first write; nothing is written."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from isthmus import polling
from isthmus.adapters import connectivity, cross_cluster_access, kube, kubeconfigs, readiness
from isthmus.adapters.diff import is_kept
from isthmus.adapters.kube import Kube
from isthmus.environment import ClusterSpec, Environment, Resources
from isthmus.environment.namespaces import ISTIO_NAMESPACE
from isthmus.errors import IsthmusError, Unprepared
from isthmus.providers.kubeconfig import addresses, capacity, conflicts, rbac, requirements
from isthmus.providers.kubeconfig.conflicts import ClusterContent
from isthmus.stacks import load
from isthmus.step_results import Access

MAX_CONCURRENT_REVIEWS = 8
"""Questions about rights at once: there are a hundred, and a far server needs 0.2 s for each."""
DEFINITIONS = "apiextensions.k8s.io/v1"
ADMISSION = "admissionregistration.k8s.io/v1"
NETWORKING = ("networking.istio.io/v1", "networking.istio.io/v1alpha3")
"""What Istio 1.22 and later, and what 1.7, serve its Gateway as."""
WEBHOOKS = ("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration")


@dataclass
class ClusterInspection:
    """One cluster as it was found, and all for which it is refused."""

    cluster: ClusterSpec
    access: Access | None = None
    server: str = ""
    """URL at which the other clusters reach its API server."""
    version: str = ""
    uid: str = ""
    cluster_ca: str = ""
    """The cluster's own CA (PEM), as its ServiceAccounts get it."""
    server_ca_bundle: str = ""
    """The CAs (PEM) by which pods elsewhere will know its API server."""
    tls_server_name: str = ""
    """The name by which they will, if it is not that of the URL."""
    gateway_address: str = ""
    """Address of our gateway, if one stands there already."""
    gateway_listening: bool = False
    """Whether that gateway has all that it needs to be listening; a build may have ended before."""
    kept_namespaces: list[str] = field(default_factory=list)
    """Namespaces that were handed over: others decide what may run in them."""
    refusals: list[IsthmusError] = field(default_factory=list)


def inspect_cluster(
    environment: Environment, cluster: ClusterSpec, access: Access
) -> ClusterInspection:
    """Return what a cluster shows; what cannot be asked for want of an answer is left out."""
    sight = ClusterInspection(cluster, access)
    try:
        client = kube.connect(access)
        server, sight.version = connectivity.get_server_version(client)
        sight.server = access.server or server
        sight.refusals += _version(environment, sight)
        sight.refusals += _server(environment, sight)
        if environment.federation == "kubefed" and (
            error := kubeconfigs.federation_blocker(access)
        ):
            sight.refusals.append(error)
        if missing := _missing(client, environment, cluster):
            sight.refusals += rbac.missing_permission_errors(cluster.name, missing)
        if not any(right.verb in rbac.READ_VERBS for right in missing):
            _inspect_contents(environment, sight, client)
    except IsthmusError as error:
        error.cluster = error.cluster or cluster.name
        error.hint = error.hint or _advice(error.message)
        sight.refusals.append(error)
    return sight


def _advice(said: str) -> str:
    if "system:anonymous" in said:
        return "the kubeconfig gave no credentials: does the program in its `exec` run here?"
    return "set that right, then run the same command again"


def _inspect_contents(environment: Environment, sight: ClusterInspection, client: Kube) -> None:
    name, is_host = sight.cluster.name, sight.cluster == environment.host
    carried = environment.federation == "kubefed"
    # In a remote `join` makes KubeFed's namespace, without our label.
    kubefed = is_host and carried
    sight.uid = client.uid()
    sight.cluster_ca = _authority(client)
    sight.server_ca_bundle = cross_cluster_access.ca_bundle(client.access, sight.cluster_ca)
    # KubeFed has no such name.
    sight.tls_server_name = "" if carried else kubeconfigs.server_name(client.access)
    content = _content(client)
    sight.refusals += conflicts.find_conflicts(
        name, environment.name, content, kubefed=kubefed, carried=carried
    )
    spaces = [s for s in content.namespaces if conflicts.is_ours(s, environment.name)]
    ours = {space["metadata"]["name"] for space in spaces}
    sight.kept_namespaces = [space["metadata"]["name"] for space in spaces if is_kept(space)]
    sight.refusals += _find_capacity_refusals(environment, sight.cluster, client, ours)
    if ISTIO_NAMESPACE in ours:
        gateway = load(environment.stack).gateway.name
        sight.gateway_address = readiness.current_address(client, gateway, ISTIO_NAMESPACE) or ""
        listening = readiness.is_available(client, gateway, ISTIO_NAMESPACE)
        if is_host:
            listening = listening and _is_gateway_configured(environment, client)
        sight.gateway_listening = listening


def _is_gateway_configured(environment: Environment, client: Kube) -> bool:
    """Tell whether the host's istiod runs and has been told where gateways are to listen."""
    control = client.objects("Deployment", ISTIO_NAMESPACE, "apps/v1", "app=istiod")
    port = load(environment.stack).gateway.port
    gateways = [g for api in NETWORKING for g in client.objects("Gateway", ISTIO_NAMESPACE, api)]
    servers = [server for g in gateways for server in g["spec"].get("servers") or []]
    told = any(server.get("port", {}).get("number") == port for server in servers)
    return told and bool(control) and all(map(readiness.is_rolled_out, control))


def _version(environment: Environment, sight: ClusterInspection) -> list[Unprepared]:
    stack = load(environment.stack)
    if stack.kubernetes.holds(sight.version):
        return []
    message = (
        f"runs Kubernetes {sight.version}; stack {stack.name} is for "
        f"{stack.kubernetes.min} to {stack.kubernetes.max}"
    )
    hint = "take a cluster of such a version, or another `stack`"
    return [Unprepared(message, cluster=sight.cluster.name, hint=hint)]


def _server(environment: Environment, sight: ClusterInspection) -> list[IsthmusError]:
    if not is_api_server_called(environment, sight.cluster):
        return []
    whose = f"pods of {environment.host.name}"
    return [*addresses.unusable(sight.cluster.name, sight.server, whose)]


def is_api_server_called(environment: Environment, cluster: ClusterSpec) -> bool:
    """Tell whether pods of the host call the cluster's API server; KubeFed calls the host's too."""
    return cluster != environment.host or environment.federation == "kubefed"


def _missing(client: Kube, environment: Environment, cluster: ClusterSpec) -> list[rbac.Permission]:
    rules = rbac.required_rules(
        host=cluster == environment.host,
        kubefed=environment.federation == "kubefed",
        istiod=cluster == environment.host or load(environment.stack).istiod_in_remotes,
    )
    if _may(client, rbac.CLUSTER_ADMIN):
        return []
    wanted = [right for rule in rules for right in rule.permissions()]
    with ThreadPoolExecutor(MAX_CONCURRENT_REVIEWS) as pool:
        allowed = list(
            pool.map(polling.in_current_context(lambda right: _may(client, right)), wanted)
        )
    return [right for right, may in zip(wanted, allowed, strict=True) if not may]


def _may(client: Kube, right: rbac.Permission) -> bool:
    path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
    answer = client.request("POST", path, right.review)
    return bool(answer.get("status", {}).get("allowed"))


def _authority(client: Kube) -> str:
    found = client.get("ConfigMap", "kube-root-ca.crt", "kube-system") or {}
    return str(found.get("data", {}).get("ca.crt", ""))


def _content(client: Kube) -> ClusterContent:
    webhooks = [w for kind in WEBHOOKS for w in client.objects(kind, api=ADMISSION)]
    called = [c.get("clientConfig", {}) for w in webhooks for c in w.get("webhooks") or []]
    services = {(s["namespace"], s["name"]) for c in called if (s := c.get("service"))}
    return ClusterContent(
        namespaces=client.objects("Namespace"),
        webhooks=webhooks,
        definitions=client.objects("CustomResourceDefinition", api=DEFINITIONS),
        services=frozenset(f"{n}/{s}" for n, s in services if client.get("Service", s, n)),
    )


def _find_capacity_refusals(
    environment: Environment, cluster: ClusterSpec, client: Kube, ours: set[str]
) -> list[Unprepared]:
    """Judge the room without what our own pods take, if some run already."""
    nodes = client.objects("Node")
    pods = [p for p in client.objects("Pod") if p["metadata"]["namespace"] not in ours]
    found = capacity.find_insufficient_capacity(
        cluster.name,
        capacity.free_per_node(nodes, pods),
        requirements.requests_per_pod(environment, cluster),
    )
    stack = load(environment.stack)
    if stack.host_size and cluster == environment.host and environment.resources == Resources():
        found += capacity.find_undersized_host(
            cluster.name, nodes, capacity.parse_resources(stack.host_size), stack.name
        )
    return found
