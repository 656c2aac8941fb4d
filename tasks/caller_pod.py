"""The caller of a region: commands in its pod, some at a time, and what its sidecar counts."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from isthmus import polling
from isthmus.adapters import envoy, readiness
from isthmus.adapters.diff import Manifest
from isthmus.adapters.kube import Kube
from isthmus.environment.namespaces import SAMPLE_NAMESPACE
from isthmus.errors import NotReady

PARALLEL = 10
"""Commands in the caller at a time, where an endpoint does not answer: half of the requests take
their whole time then, so that they must overlap."""
FIRST_SHELL_EXIT_CODE = 126
"""From here on an exit code is none of curl's: not to be run, or ended by a signal (POSIX sh)."""
T = TypeVar("T")


class UnexpectedState(NotReady):
    """What is not as expected; what it is instead is for the judge."""


def ready_pods(cluster: Kube, namespace: str, labels: str) -> list[Manifest]:
    """Return the Ready pods; ones that are there and not Ready get some time to become so."""

    def found() -> list[Manifest] | None:
        pods = readiness.running_pods(cluster, namespace, labels)
        return pods if pods or not cluster.objects("Pod", namespace, labels=labels) else None

    limit = polling.timeouts().pod
    try:
        return polling.until(found, f"a Ready pod {labels}", timeout=limit, error=UnexpectedState)
    except UnexpectedState:
        return []


def comes_true(probe: Callable[[], bool], what: str, timeout: float, interval: float = 0.2) -> bool:
    """Wait for something to be so; tell whether it became so: what it is instead is for the judge.

    A probe's own failure is no state: it raises as `polling.until` does.
    """
    try:
        return polling.until(
            lambda: probe() or None,
            what,
            timeout=timeout,
            interval=interval,
            error=UnexpectedState,
        )
    except UnexpectedState:
        return False


def find_caller(cluster: Kube) -> "CallerPod | None":
    """Return a Ready caller of a cluster; None if there is none."""
    pods = ready_pods(cluster, SAMPLE_NAMESPACE, "app=sleep")
    return CallerPod(cluster, pods[0]["metadata"]["name"]) if pods else None


class CallerPod:
    """One region's caller."""

    def __init__(self, cluster: Kube, name: str) -> None:
        self.cluster = cluster.access.cluster
        self._kube, self._name = cluster, name

    def curl(self, command: list[str], n: int, count: Callable[[str], int]) -> str:
        """Return what curl printed of n requests; raises NotReady if it does not tell of all."""
        text, said, code = self._kube.execute(self._name, SAMPLE_NAMESPACE, "sleep", command)
        told = count(text)
        if code >= FIRST_SHELL_EXIT_CODE or told < n:
            raise NotReady(
                f"{self._name}: curl reported {told} of {n} requests and ended with exit "
                f"code {code}: {said[:200]}"
            )
        return text

    def envoy_clusters(self) -> str:
        """Return what its sidecar knows and counts, as Envoy's JSON; raises NotReady if silent."""
        command = ["curl", "-q", "-sS", "-m", "5", f"{envoy.ADMIN}{envoy.ENDPOINTS}"]
        text, problem, code = self._kube.execute(self._name, SAMPLE_NAMESPACE, "sleep", command)
        if code or not text:
            raise NotReady(f"{self._name}: its sidecar does not answer: {problem}")
        return text


def in_parallel(n: int, send: Callable[[int], T], commands: int = PARALLEL) -> list[T]:
    """Return what became of n requests that overlap in time, by `send` of so many each."""
    shares = [n // commands + (k < n % commands) for k in range(min(n, commands))]
    with ThreadPoolExecutor(len(shares)) as pool:
        return list(pool.map(polling.in_current_context(send), shares))
