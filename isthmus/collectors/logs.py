"""The ends of the logs that tell of a mesh: istiod's, the gateways', the sample's, KubeFed's."""

from functools import partial

from isthmus import polling, providers
from isthmus.adapters import kube, pod_logs
from isthmus.collectors import questions
from isthmus.diagnosis.objects import containers, listed, name_of, namespace_of
from isthmus.diagnosis.snapshot import ClusterSnapshot, Object, Snapshot
from isthmus.environment import Environment
from isthmus.environment.namespaces import ISTIO_NAMESPACE, KUBEFED_NAMESPACE, SAMPLE_NAMESPACE
from isthmus.errors import IsthmusError

LINES = 1000
"""The last lines of each log."""
PODS = 30
"""Pods of one cluster whose logs are read."""
CONTAINERS = frozenset(
    "discovery istio-proxy istio-init istio-validation helloworld sleep controller-manager "
    "admission-webhook".split()
)
"""Containers of Istio, the sample and KubeFed: what others log is nobody's to send."""
NAMESPACES = (ISTIO_NAMESPACE, SAMPLE_NAMESPACE, KUBEFED_NAMESPACE)


def collect(environment: Environment, snapshot: Snapshot) -> dict[str, str]:
    """Return `CLUSTER/NAMESPACE_POD_CONTAINER.log` -> text; of a log that failed, why."""
    seen = [cluster for cluster in snapshot.clusters if cluster.reachable]
    with polling.use_timeouts(questions.limits(environment.timeouts)):
        found = questions.in_parallel(partial(_cluster, environment), seen, 16)
    return {name: text for logs in found for name, text in logs.items()}


def _cluster(environment: Environment, cluster: ClusterSnapshot) -> dict[str, str]:
    spec = environment.cluster(cluster.name)
    client = kube.connect(providers.get_provider(environment).access(environment, spec))
    pods = [p for space in NAMESPACES for p in listed(cluster, "Pod", space)][:PODS]
    asked = {
        f"{cluster.name}/{namespace_of(pod)}_{name_of(pod)}_{container}.log": partial(
            _tail, client, pod, container
        )
        for pod in pods
        for container in _names(pod)
    }
    logs, errors = questions.ask(asked)
    return {**logs, **errors}


def _names(pod: Object) -> list[str]:
    return [name for c in containers(pod) if (name := str(c.get("name"))) in CONTAINERS]


def _tail(client: kube.Kube, pod: Object, container: str) -> str:
    place = name_of(pod), namespace_of(pod), container
    lines = pod_logs.tail(client, *place, LINES)
    try:
        before = pod_logs.tail(client, *place, LINES // 10, previous=True)
    except IsthmusError:
        before = []  # it runs for the first time
    told = [*before, "--- the container was started again ---"] if before else []
    return "\n".join([*told, *lines, ""])
