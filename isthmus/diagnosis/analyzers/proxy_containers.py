"""Containers of Envoy: those that are not ready, and those that are started again and again."""

from collections.abc import Iterator

from isthmus.diagnosis import pods
from isthmus.diagnosis.fields import dig, seconds
from isthmus.diagnosis.finding import Failure, Severity, analyzer, kubectl
from isthmus.diagnosis.objects import container, full_name, labels_of, name_of, namespace_of
from isthmus.diagnosis.services import reachable, up
from isthmus.diagnosis.snapshot import ClusterSnapshot, Object, Snapshot
from isthmus.diagnosis.times import HOUR, utc

PROXY = "istio-proxy"
OFTEN = 3
"""Starts anew from which on a proxy is told of, if the last one was within the hour."""
START = 60.0
"""Seconds that a proxy may take to be ready: it waits for its certificate and configuration."""
PULLING = frozenset({"ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull", "InvalidImageName"})


@analyzer("F56", "Envoy's container is not ready, or is restarted often")
def unwell_proxy(snapshot: Snapshot) -> Iterator[Failure]:
    """Find sidecars and gateways whose container istio-proxy does not run as it should."""
    for cluster in reachable(snapshot):
        for pod in pods.alive(cluster):
            for status in pods.statuses(pod):
                if status.get("name") == PROXY:
                    yield from _proxy(snapshot, cluster, pod, status)


def _proxy(
    snapshot: Snapshot, cluster: ClusterSnapshot, pod: Object, status: Object
) -> Iterator[Failure]:
    waiting = str(dig(status, "state", "waiting", "reason") or "")
    last = dig(status, "lastState", "terminated") or dig(status, "state", "terminated")
    reason = str(dig(last, "reason") or "")
    ended = seconds(dig(last, "finishedAt"))
    lately = ended is not None and 0 <= snapshot.taken_at - ended < HOUR
    count = status.get("restartCount") or 0
    why = "OOMKilled" if reason == "OOMKilled" else waiting or "restarts"
    if waiting and waiting not in pods.STARTING:
        yield _failure(snapshot, cluster, pod, _ends(last, count, waiting), why, "error")
    elif lately and (count >= OFTEN or reason == "OOMKilled"):
        yield _failure(snapshot, cluster, pod, _ends(last, count, ""), why, "warning")
    elif _is_late(snapshot, status):
        since = dig(status, "state", "running", "startedAt")
        seen = f"runs since {since} and is not ready"
        yield _failure(snapshot, cluster, pod, seen, "not ready", "error")


def _is_late(snapshot: Snapshot, status: Object) -> bool:
    begun = seconds(dig(status, "state", "running", "startedAt"))
    late = begun is not None and snapshot.taken_at - begun > START
    return late and status.get("ready") is False


def _ends(last: object, count: object, waiting: str) -> str:
    words = [f"{waiting}" if waiting else "", f"restarted {count} times"]
    if code := dig(last, "exitCode"):
        words.append(f"last end: exit code {code}, {dig(last, 'reason')}")
    if at := dig(last, "finishedAt"):
        words.append(f"at {at}")
    return ", ".join(filter(None, words))


def _failure(
    snapshot: Snapshot,
    cluster: ClusterSnapshot,
    pod: Object,
    seen: str,
    why: str,
    severity: Severity,
) -> Failure:
    cause, fix = _reason(snapshot, cluster, pod, why)
    return Failure(
        (cluster.name,),
        (f"{full_name(pod)}: {PROXY}: {seen} (seen at {utc(snapshot.taken_at)})",),
        cause,
        fix,
        object=full_name(pod),
        severity=severity,
        certain=why == "OOMKilled" or why in PULLING,
    )


def _reason(snapshot: Snapshot, cluster: ClusterSnapshot, pod: Object, why: str) -> tuple[str, str]:
    """Return the cause, and what to type."""
    words = f"-n {namespace_of(pod)} logs {name_of(pod)} -c {PROXY} --tail=50"
    log, again = kubectl(cluster.name, words), kubectl(cluster.name, pods.restart(cluster, pod))
    if why == "OOMKilled":
        limit = dig(container(pod, PROXY), "resources", "limits", "memory") or "its node's"
        part = "gateway" if "istio" in labels_of(pod) else "sidecar"
        fix = f"{up(snapshot)}  # with more memory in `resources.{part}` of its file\n{again}"
        return f"it was killed as it needed more memory than its limit, {limit}", fix
    if why in PULLING:
        fix = f"{up(snapshot)}  # with `images` in its file corrected\n{again}"
        return "the node cannot pull the image: its name, the registry, or the pull secret", fix
    if why == "not ready":
        cause = (
            "either it gets no certificate or configuration from istiod, or it starts too slowly"
        )
        return cause, f"{log}\n{again}"
    return "Envoy or pilot-agent ends: its log says why", f"{log} --previous\n{again}"


ANALYZERS = (unwell_proxy,)
