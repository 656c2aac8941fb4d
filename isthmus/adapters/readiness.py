"""Waiting for what runs in a cluster: Deployments, addresses, kinds. Says what holds it up."""

from collections.abc import Iterable

from isthmus import polling
from isthmus.adapters import connectivity, load_balancer_failures, pod_failures, replicaset_backoff
from isthmus.adapters.debounce import FailureDebouncer, events_about
from isthmus.adapters.diff import Manifest, is_ready
from isthmus.adapters.kube import Kube
from isthmus.adapters.pod_failures import PodFailure


def await_deployment(client: Kube, name: str, namespace: str) -> None:
    """Wait until every replica is of the newest version and available; NotReady says why not.

    Raises Unprepared, with the cluster's words, once a reason that time will not mend has stood.
    """
    standing = FailureDebouncer(client, f"Deployment {namespace}/{name} cannot become ready: ")

    def rolled_out() -> bool | None:
        found = client.get("Deployment", name, namespace, "apps/v1")
        if found and is_rolled_out(found):
            return True
        if found and pod_failures.is_blocked_by_mesh_webhook(found):
            replicaset_backoff.try_again(client, found)
        standing.check(lambda: failure_of(client, found) if found else None)
        return None

    polling.until(
        rolled_out,
        f"Deployment {namespace}/{name} to become available",
        timeout=polling.timeouts().deployment,
        cluster=client.access.cluster,
        seen=lambda: explain(client, name, namespace),
    )


def failure_of(client: Kube, deployment: Manifest) -> PodFailure | None:
    """Return why a Deployment will not come to run, if time will not mend it."""
    namespace = deployment["metadata"]["namespace"]
    pods = client.objects("Pod", namespace, labels=_selector(deployment))
    return pod_failures.deployment_failure(deployment, pods)


def start_deployment(client: Kube, name: str, namespace: str) -> bool:
    """Make a Deployment that was installed without pods want one; tell whether it had none."""
    found = client.get("Deployment", name, namespace, "apps/v1")
    if not found or found["spec"].get("replicas", 1) > 0:
        return False
    client.merge_patch("Deployment", name, {"spec": {"replicas": 1}}, namespace, "apps/v1")
    return True


def is_available(client: Kube, name: str, namespace: str) -> bool:
    """Tell whether a Deployment is there and rolled out."""
    found = client.get("Deployment", name, namespace, "apps/v1")
    return bool(found) and is_rolled_out(found)


def is_rolled_out(deployment: Manifest) -> bool:
    """Tell whether the newest version runs everywhere and nothing older does."""
    status, wanted = deployment.get("status", {}), deployment["spec"].get("replicas", 1)
    return bool(
        wanted
        and status.get("observedGeneration") == deployment["metadata"]["generation"]
        and status.get("updatedReplicas", 0) == wanted
        and status.get("availableReplicas", 0) == wanted
        and status.get("replicas", 0) == wanted
    )


def explain(client: Kube, name: str, namespace: str) -> str:
    """Say what holds a Deployment up: conditions, what its pods wait for, the last warning."""
    found = client.get("Deployment", name, namespace, "apps/v1")
    if found is None:
        return "it does not exist"
    if found["spec"].get("replicas", 1) == 0:
        return f"it is scaled to 0; kubectl -n {namespace} scale deployment/{name} --replicas=1"
    conditions = found.get("status", {}).get("conditions", [])
    said = [
        c.get("message") or c["type"]
        for c in conditions
        if c["status"] != "True" or c["type"] == "ReplicaFailure"
    ]
    said += waiting_messages(client, namespace, _selector(found))
    said += last_warning(client, namespace, name)
    return "; ".join(dict.fromkeys(said)) or "no pod yet"


def waiting_messages(client: Kube, namespace: str, labels: str) -> list[str]:
    """Return what the pods with these labels wait for, as they say it themselves."""
    return [said for pod in client.objects("Pod", namespace, labels=labels) for said in _said(pod)]


def last_warning(client: Kube, namespace: str, name: str) -> list[str]:
    """Return the last warning about an object of that name, or of a longer one; or nothing."""
    events = sorted(client.objects("Event", namespace), key=load_balancer_failures.last_observed)
    warnings = [
        e for e in events if e.get("type") == "Warning" and name in e["involvedObject"]["name"]
    ]
    return [f"{e['reason']}: {e['message']}" for e in warnings[-1:]]


def current_address(client: Kube, service: str, namespace: str) -> str | None:
    """Return the first address of a LoadBalancer Service, IP or hostname; None if it has none."""
    return next(iter(_ingress(client, service, namespace)), None)


def current_addresses(client: Kube, service: str, namespace: str) -> list[str]:
    """Return every IP address of a LoadBalancer Service, those of its hostnames among them.

    A proxy lists them all: istiod takes each of `status.loadBalancer.ingress` for a gateway of the
    network and resolves hostnames (istio pilot/pkg/model/network.go). Raises NotReady for a
    hostname that has no address here.
    """
    found = _ingress(client, service, namespace)
    return sorted(
        {ip for name in found for ip in connectivity.resolve(name, client.access.cluster)}
    )


def _ingress(client: Kube, service: str, namespace: str) -> list[str]:
    found = client.get("Service", service, namespace) or {}
    ingress = found.get("status", {}).get("loadBalancer", {}).get("ingress") or []
    return [name for i in ingress if (name := i.get("ip") or i.get("hostname"))]


def await_address(client: Kube, service: str, namespace: str) -> str:
    """Wait until a LoadBalancer Service has an address, IP or hostname, and return it.

    Raises Unprepared, with the cluster's words, once its controller says that there will be none.
    """
    standing = FailureDebouncer(client, f"Service {namespace}/{service} gets no address: ")
    before: set[str] | None = None

    def failure() -> PodFailure | None:
        nonlocal before
        events = events_about(client, "Service", {"namespace": namespace, "name": service})
        before = {load_balancer_failures.version(e) for e in events} if before is None else before
        return load_balancer_failures.service_failure(events, before)

    def given() -> str | None:
        if not (found := current_address(client, service, namespace)):
            standing.check(failure)
        return found

    return polling.until(
        given,
        f"Service {namespace}/{service} to get an EXTERNAL-IP (is there a load balancer?)",
        timeout=polling.timeouts().load_balancer,
        cluster=client.access.cluster,
    )


def await_served(client: Kube, api: str, kinds: Iterable[str], timeout: float = 60) -> None:
    """Wait until the API server serves these kinds of a group that was just defined."""
    for kind in kinds:
        polling.until(
            lambda kind=kind: True if client.serves(api, kind) else None,  # type: ignore[misc]
            f"kind {kind} of {api} to be served",
            timeout=timeout,
            interval=0.1,
            cluster=client.access.cluster,
        )


def running_pods(client: Kube, namespace: str, labels: str) -> list[Manifest]:
    """Return the pods that are Ready and not ending."""
    pods = client.objects("Pod", namespace, labels=labels)
    return [p for p in pods if not p["metadata"].get("deletionTimestamp") and is_ready(p)]


def _selector(deployment: Manifest) -> str:
    labels = deployment["spec"]["selector"].get("matchLabels", {})
    return ",".join(f"{k}={v}" for k, v in labels.items())


def _said(pod: Manifest) -> list[str]:
    status = pod.get("status", {})
    containers = [*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])]
    waits = [(c["name"], c["state"]["waiting"]) for c in containers if "waiting" in c["state"]]
    said = [f"{name}: {w.get('reason')} {w.get('message', '')}".strip() for name, w in waits]
    conditions = status.get("conditions", [])
    said += [
        c["message"]
        for c in conditions
        if c["type"] == "PodScheduled" and c["status"] != "True" and c.get("message")
    ]
    return said
