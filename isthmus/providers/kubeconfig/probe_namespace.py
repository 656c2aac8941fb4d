"""A cluster's part of the probing: a namespace with pods and a load balancer, made and removed.

The namespace bears a label of its own: one that a killed run has left is removed before the next is
made. It bears the environment's too, so that `down` finds it.
"""

from isthmus import images, polling
from isthmus.adapters import kube, pod_failures, readiness
from isthmus.adapters.debounce import FailureDebouncer
from isthmus.adapters.diff import Manifest
from isthmus.adapters.kube import Kube
from isthmus.environment import Environment, Images
from isthmus.errors import NotReady, Unprepared
from isthmus.providers.kubeconfig import addresses, admission, requirements
from isthmus.providers.kubeconfig.inspection import ClusterInspection
from isthmus.render import render, with_pods
from isthmus.stacks import load

NAMESPACE = "isthmus-probe"
PROBE_LABEL = "isthmus/probe=true"


def prepare(environment: Environment, sight: ClusterInspection) -> str:
    """Make pods of the cluster ready to call and to answer; return where others call it.

    Raises Unprepared if no pod comes to run or no address is given.
    """
    client, name = client_of(sight), sight.cluster.name
    remove(sight)
    wanted = _objects(environment, sight)
    client.apply(wanted[:1], environment.name)
    _await_account(client)
    for space in (NAMESPACE, *sight.kept_namespaces):
        admission.dry_run_pods(environment, sight.cluster, client, space)
    with admission.explain_rejection(client):
        client.apply(wanted[1:], environment.name)
    for pod in (m["metadata"]["name"] for m in wanted if m["kind"] == "Pod"):
        _await_pod(client, pod, name)
    if sight.gateway_address:
        return sight.gateway_address
    address = _await_address(client, name)
    _check_address(environment, name, address)
    return address


def _check_address(environment: Environment, cluster: str, address: str) -> None:
    """Refuse a host name where Istio passes it over (1.7, pilot/pkg/xds/ep_filters.go)."""
    if load(environment.stack).gateway.hostnames or addresses.is_ip(address):
        return
    message = f"its load balancer has a host name, {address}; stack {environment.stack} needs an IP"
    hint = "give the gateway's Service a fixed IP (`overlays`: k8s.service.loadBalancerIP)"
    raise Unprepared(message, cluster=cluster, hint=f"{hint}, or take another stack")


def remove(sight: ClusterInspection) -> None:
    """Leave no namespace of a probe, be it another run's that was killed."""
    client = client_of(sight)
    for space in client.objects("Namespace", labels=PROBE_LABEL):
        client.delete(space)
    polling.until(
        lambda: None if client.objects("Namespace", labels=PROBE_LABEL) else True,
        f"Namespace {NAMESPACE} to be deleted",
        timeout=polling.timeouts().deletion,
        cluster=client.access.cluster,
        seen=lambda: "; ".join(_deletion_blockers(client)),
    )


def client_of(sight: ClusterInspection) -> Kube:
    """Return the client of a cluster that has been asked."""
    assert sight.access
    return kube.connect(sight.access)


def _objects(environment: Environment, sight: ClusterInspection) -> list[Manifest]:
    """Return what is made: where our gateway stands, it is probed itself, and not a stand-in."""
    chosen, cluster = images.select_images(environment, Images()), sight.cluster
    annotations, fields = requirements.load_balancer_settings(environment, cluster)
    is_host = cluster == environment.host
    objects = render(
        "probe/namespace.yaml.j2",
        caller=chosen.caller,
        answerer=chosen.helloworld_v1 if is_host else chosen.helloworld_v2,
        pull_policy=chosen.pull_policy,
        ports=[
            {"name": name, "port": port, "targetPort": 5000}
            for name, port in requirements.ports(environment, cluster).items()
        ],
        annotations=annotations,
        more=fields,
        labels=environment.namespaces.labels,
    )
    needless = ("answerer", "gateway") if sight.gateway_address else ()
    wanted = [m for m in objects if m["metadata"]["name"] not in needless]
    return with_pods(wanted, **dict(environment.pods))


def _await_account(client: Kube) -> None:
    """Wait for the account of the new namespace's pods: before it is there none can be made."""
    polling.until(
        lambda: client.get("ServiceAccount", "default", NAMESPACE),
        f"ServiceAccount {NAMESPACE}/default to be created",
        timeout=polling.timeouts().deployment,
        cluster=client.access.cluster,
    )


def _await_pod(client: Kube, pod: str, cluster: str) -> None:
    labels = f"app={pod}"
    standing = FailureDebouncer(client, f"Pod {NAMESPACE}/{pod} cannot become ready: ")
    limit = polling.timeouts().deployment

    def runs() -> list[Manifest] | None:
        found = client.objects("Pod", NAMESPACE, labels=labels)
        standing.check(lambda: next(filter(None, map(pod_failures.pod_failure, found)), None))
        return readiness.running_pods(client, NAMESPACE, labels) or None

    try:
        polling.until(
            runs,
            f"Pod {NAMESPACE}/{pod} to be Ready",
            timeout=limit,
            cluster=cluster,
        )
    except NotReady:
        said = readiness.waiting_messages(client, NAMESPACE, labels)
        said += readiness.last_warning(client, NAMESPACE, pod)
        raise Unprepared(
            f"Pod {NAMESPACE}/{pod} is not Ready after {limit} s: "
            f"{'; '.join(said) or 'no reason given'}",
            cluster=cluster,
            hint="can its nodes pull the environment's images? see `images` in docs/environment.md",
        ) from None


def _await_address(client: Kube, cluster: str) -> str:
    limit = polling.timeouts().load_balancer
    try:
        return readiness.await_address(client, "gateway", NAMESPACE)
    except NotReady:
        said = "".join(f" ({w})" for w in readiness.last_warning(client, NAMESPACE, "gateway"))
        raise Unprepared(
            f"a Service of type LoadBalancer got no address within {limit} s{said}; "
            "the gateway needs one",
            cluster=cluster,
            hint="give the cluster a load balancer (a cloud's controller, MetalLB), or look at its "
            "quota and logs",
        ) from None


def _deletion_blockers(client: Kube) -> list[str]:
    """Return what a namespace that ends says it waits for."""
    spaces = client.objects("Namespace", labels=PROBE_LABEL)
    conditions = [c for s in spaces for c in s.get("status", {}).get("conditions", [])]
    return [c["message"] for c in conditions if c["status"] == "True" and c.get("message")]
