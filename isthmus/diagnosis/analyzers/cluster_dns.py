"""A cluster's own DNS: whether its pods are ready and whether other pods get an answer."""

import re
from collections.abc import Iterator

from isthmus.diagnosis import pods
from isthmus.diagnosis.fields import dig, mappings, texts
from isthmus.diagnosis.finding import Failure, analyzer, kubectl
from isthmus.diagnosis.objects import (
    find,
    is_ready,
    labelled,
    listed,
    name_of,
    namespace_of,
    was_listed,
)
from isthmus.diagnosis.services import KUBE_SYSTEM, reachable, up
from isthmus.diagnosis.snapshot import ClusterSnapshot, NameLookup, Object, Snapshot

NO_ANSWER = re.compile(
    r"(resolv|dns|lookup|servers).*(timed out|timeout|refused|unreachable|be reached)"
    r"|(timed out|timeout|refused|unreachable).*(resolv|dns|lookup|servers)"
    r"|SERVFAIL|temporary failure in name|try again",
    re.I | re.S,
)
"""What is said where a DNS server gave no answer (curl, glibc, c-ares, dig)."""
NOT_ASKED = re.compile(r"backend|kubelet|:10250|\bexec\b", re.I)
"""What is said where no command could be run in the pod: that tells nothing of names."""
DNS = {"k8s-app": "kube-dns"}
"""Label of the DNS, its Service's and its pods' (k8s.io/kubernetes cluster/addons/dns)."""


@analyzer("F51", "The cluster's DNS does not answer")
def no_dns(snapshot: Snapshot) -> Iterator[Failure]:
    """Find clusters whose DNS has no ready pod, or whose pods get no answer from it."""
    for cluster in reachable(snapshot):
        if evidence := trouble(cluster):
            without = bool(_unready_dns(cluster))
            yield Failure(
                (cluster.name,),
                tuple(evidence),
                "no pod of the cluster's DNS is ready, so names do not resolve in any of its pods"
                if without
                else "either the cluster's DNS is overloaded, or its pods cannot be reached from "
                "other pods (a NetworkPolicy, a firewall, kube-proxy)",
                restart(snapshot, cluster),
                object=f"Service {KUBE_SYSTEM}/{_dns_name(cluster)}",
                certain=without,
            )


def trouble(cluster: ClusterSnapshot) -> list[str]:
    """Return what shows that the DNS does not answer; nothing where a pod got an answer."""
    asked = [t for t in cluster.lookups if t.resolver != "dns"]
    if any(t.addresses for t in asked):
        return []
    told = [f"{t.name} from a pod: {t.error}" for t in asked if NO_ANSWER.search(said(t))]
    unready = _unready_dns(cluster)
    wanted = labelled(cluster, "Pod", DNS) or any(map(pods.replicas, _deployments(cluster)))
    failed = [f"{t.name} from a pod: {t.error}" for t in asked if said(t)]
    # A cloud's DNS may stand outside the cluster, and kube-dns be scaled to 0 for good.
    if told or wanted:
        return [*unready, *told]
    return [*unready, *failed] if unready and failed else []


def _unready_dns(cluster: ClusterSnapshot) -> list[str]:
    """Return what shows that no pod of the DNS is ready."""
    service = next(iter(labelled(cluster, "Service", DNS)), None)
    service = service or find(cluster, "Service", "kube-dns", KUBE_SYSTEM)
    if not service or not was_listed(cluster, "EndpointSlice") or not was_listed(cluster, "Pod"):
        return []
    name, space = name_of(service), namespace_of(service)
    slices = labelled(cluster, "EndpointSlice", {"kubernetes.io/service-name": name}, space)
    found = labelled(cluster, "Pod", DNS)
    if any(map(is_ready, found)) or any(map(_receives, slices)):
        return []
    told = [f"Pod {name_of(pod)}: {pods.complaint(pod)}" for pod in found]
    of = _deployments(cluster)
    wanted = [f"Deployment {name_of(d)} wants {pods.replicas(d)} pods" for d in of]
    return [f"Service {space}/{name} has no ready endpoint", *wanted, *told]


def _receives(item: Object) -> bool:
    found = mappings(item.get("endpoints"))
    return any(
        texts(e.get("addresses")) and dig(e, "conditions", "ready") is not False for e in found
    )


def _deployments(cluster: ClusterSnapshot) -> list[Object]:
    found = listed(cluster, "Deployment")
    return [d for d in found if DNS.items() <= pods.template_labels(d).items()]


def _dns_name(cluster: ClusterSnapshot) -> str:
    return next((name_of(s) for s in labelled(cluster, "Service", DNS)), "kube-dns")


def restart(snapshot: Snapshot, cluster: ClusterSnapshot) -> str:
    """Return the command that starts the DNS's pods anew."""
    if snapshot.environment.get("provider") == "lab":
        return up(snapshot)
    for deployment in _deployments(cluster):
        where = f"-n {namespace_of(deployment)}"
        name = f"deployment/{name_of(deployment)}"
        if not pods.replicas(deployment):
            return kubectl(cluster.name, f"{where} scale {name} --replicas=2")
        return kubectl(cluster.name, f"{where} rollout restart {name}")
    return kubectl(cluster.name, f"-n {KUBE_SYSTEM} get pods,services,endpointslices")


def said(told: NameLookup) -> str:
    """Return what was said of a look-up, without the name, which may be any word."""
    return "" if NOT_ASKED.search(told.error) else told.error.replace(told.name, "NAME")


ANALYZERS = (no_dns,)
