"""The services that are looked at, and what belongs to one: its Service, its pods, its callers."""

import json
import shlex
from collections.abc import Iterable
from typing import NamedTuple

from isthmus.diagnosis import pods
from isthmus.diagnosis.fields import dig, mappings, number, pairs
from isthmus.diagnosis.finding import kubectl
from isthmus.diagnosis.objects import find, labels_of, listed
from isthmus.diagnosis.snapshot import ClusterSnapshot, Object, Snapshot
from isthmus.environment.namespaces import ISTIO_NAMESPACE, SAMPLE_NAMESPACE
from isthmus.errors import BadEnvironment
from isthmus.stacks import Stack, load
from isthmus.verification.services import DOMAIN

KUBE_SYSTEM = "kube-system"
CALLER = {"app": "sleep"}
"""The pods that call the sample (templates/sample/callers.yaml.j2)."""
REGION = ("topology.kubernetes.io/region", "failure-domain.beta.kubernetes.io/region")
LOCALITY = ("topology.istio.io/locality", "istio-locality")
"""Labels of a pod that say where it is in place of its node's (istio pkg/model/proxy.go)."""


class MeshService(NamedTuple):
    """A service that spans the mesh, by its name."""

    namespace: str
    name: str

    @property
    def host(self) -> str:
        """By which name Istio knows it."""
        return f"{self.name}.{self.namespace}.svc.{DOMAIN}"

    @property
    def text(self) -> str:
        """`Service sample/helloworld`, as messages name it."""
        return f"Service {self.namespace}/{self.name}"


SAMPLE = MeshService(SAMPLE_NAMESPACE, "helloworld")


def services(snapshot: Snapshot) -> list[MeshService]:
    """Return the services that are looked at: the sample, and others that the snapshot has."""
    found = {SAMPLE: None}
    for cluster in snapshot.clusters:
        for istiod in cluster.istiods:
            for host, spaces in (istiod.endpoint_shards or {}).items():
                name, _, rest = str(host).partition(".")
                if ".svc." in f".{rest}" and isinstance(spaces, dict):
                    found |= {MeshService(str(space), name): None for space in spaces}
    system = (ISTIO_NAMESPACE, KUBE_SYSTEM)
    return [service for service in found if service.namespace not in system]


def about(what: str, service: MeshService) -> str:
    """Return what a finding is about: a rule, and the service if it is not the sample.

    One rule may be in the way of several services, and each finding needs a key of its own.
    """
    return what if service == SAMPLE else f"{what} for {service.text}"


def reachable(snapshot: Snapshot) -> list[ClusterSnapshot]:
    """Return the clusters that answered."""
    return [cluster for cluster in snapshot.clusters if cluster.reachable]


def up(snapshot: Snapshot) -> str:
    """Return the command that converges all that Isthmus itself installs."""
    return f"isthmus up {snapshot.name}"


def restarts(cluster: str, spaces: Iterable[str]) -> list[str]:
    """Return the command for each namespace that makes its Deployments' pods anew."""
    return [kubectl(cluster, f"-n {space} rollout restart deployment") for space in spaces]


def stack_of(snapshot: Snapshot) -> Stack | None:
    """Return the stack of the environment, or None if this Isthmus has none of that name."""
    try:
        return load(str(snapshot.environment.get("stack")))
    except BadEnvironment:
        return None


def service_in(cluster: ClusterSnapshot, service: MeshService) -> Object | None:
    """Return the Service as a cluster has it."""
    return find(cluster, "Service", service.name, service.namespace)


def selector(cluster: ClusterSnapshot, service: MeshService) -> dict[str, str]:
    """Return the labels by which the Service selects pods; the sample's own if it is not there."""
    found = service_in(cluster, service)
    if found is None and service == SAMPLE:
        return {"app": service.name}
    return pairs(dig(found, "spec", "selector"))


def pods_of(cluster: ClusterSnapshot, service: MeshService) -> list[Object]:
    """Return the pods behind the Service in a cluster, ready or not."""
    labels = selector(cluster, service)
    return pods.selected(cluster, service.namespace, labels) if labels else []


def callers(cluster: ClusterSnapshot, service: MeshService = SAMPLE) -> list[Object]:
    """Return the pods that call a service from a cluster, which is known of the sample alone.

    Of another one, rules are judged as they hold for callers of its own namespace.
    """
    return pods.selected(cluster, SAMPLE_NAMESPACE, CALLER) if service == SAMPLE else []


def ports(service: Object | None) -> list[Object]:
    """Return the ports of a Service."""
    return mappings(dig(service, "spec", "ports"))


def target_ports(service: Object | None, pod: Object) -> list[int]:
    """Return the ports at which a pod is reached by the Service."""
    found = (target_port(port, pod) for port in ports(service))
    return [port for port in found if port is not None]


def target_port(port: Object, pod: Object) -> int | None:
    """Return the pod's port behind one of a Service's; None if a name leads to none.

    Source: k8s.io/api core/v1 ServicePort.targetPort.
    """
    wanted = port.get("targetPort", port.get("port"))
    if (found := number(wanted)) is not None:
        return int(found)
    for container in containers_with_ports(pod):
        for each in mappings(container.get("ports")):
            if each.get("name") == wanted:
                known = number(each.get("containerPort"))
                return int(known) if known is not None else None
    return None


def declared_ports(pod: Object) -> set[int]:
    """Return the ports that a pod's containers declare."""
    every = (p for c in containers_with_ports(pod) for p in mappings(c.get("ports")))
    found = (number(port.get("containerPort")) for port in every)
    return {int(port) for port in found if port is not None}


def make(cluster: ClusterSnapshot, service: MeshService, like: Object) -> str:
    """Return the command that makes a Service as another cluster has it."""
    spec = dig(like, "spec")
    kept = {k: v for k in ("selector", "type", "externalName") if (v := dig(spec, k))}
    kept |= {"clusterIP": "None"} if dig(spec, "clusterIP") == "None" else {}
    kept["ports"] = [{k: v for k, v in p.items() if k != "nodePort"} for p in ports(like)]
    meta = {"name": service.name, "namespace": service.namespace}
    made = {"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": kept}
    return apply(cluster.name, made)


def apply(cluster: str, manifest: Object) -> str:
    """Return the command that applies an object."""
    return f"echo {shlex.quote(json.dumps(manifest))} | {kubectl(cluster, 'apply -f -')}"


def containers_with_ports(pod: Object) -> list[Object]:
    """Return a pod's containers, native sidecars among them."""
    spec = pod.get("spec")
    return [*mappings(dig(spec, "containers")), *mappings(dig(spec, "initContainers"))]


def regions(cluster: ClusterSnapshot, of: list[Object]) -> set[str]:
    """Return the regions that pods are in, as Istio takes them from pods and nodes."""
    nodes = {str(dig(n, "metadata", "name")): labels_of(n) for n in listed(cluster, "Node")}
    found = set()
    for pod in of:
        own = _first(labels_of(pod), LOCALITY).replace(".", "/").partition("/")[0]
        found.add(own or _first(nodes.get(str(dig(pod, "spec", "nodeName")), {}), REGION))
    return found - {""}


def _first(labels: dict[str, str], keys: tuple[str, ...]) -> str:
    return next((labels[key] for key in keys if key in labels), "")
