"""How a cluster comes to be, once: looked for before it is asked for, and again if no answer came.

What is asked for is noted before, in a file: a run that died, or an answer that was lost, must not
have the next run ask a second time.
"""

from collections.abc import Callable
from typing import TypeVar

from isthmus import events, polling, state
from isthmus.environment import ClusterSpec, Environment
from isthmus.errors import ClusterUnreachable, NotReady, Rejected
from isthmus.providers.kce import payloads, purchase_record
from isthmus.providers.kce.api import KceCluster, KceRegionClient, NoAnswer, Throttled

T = TypeVar("T")
RUNNING = "running"
BROKEN = ("error", "notready")
"""What KCE calls a cluster (terraform-provider-ksyun, service_ksyun_kce.go, checkClusterState)."""
DELETING = "deleting"
POLL_INTERVAL = 10.0
"""Seconds from one look at a cluster to the next; minutes are usual."""


def find(
    cloud: KceRegionClient, environment: Environment, cluster: ClusterSpec
) -> KceCluster | None:
    """Return the environment's cluster of that name, or None.

    Raises Rejected if the name is somebody else's, or if there are two.
    """
    name = payloads.name(environment.name, cluster.name)
    named = [found for found in cloud.clusters(name) if found.name == name]
    if theirs := [found for found in named if not _is_ours(found, environment)]:
        mark = payloads.cluster_description(environment.name, cluster.name)
        raise Rejected(
            f"KCE cluster {name} ({theirs[0].identity}) in {cloud.region} is not this "
            f"environment's: its description is not {mark!r}",
            cluster=cluster.name,
            hint="give the environment another name; or, if it is ours, that description again",
        )
    if len(named) > 1:
        both = " and ".join(found.identity for found in named)
        hint = "delete one of them in the KCE console"
        raise Rejected(f"KCE has two clusters {name}: {both}", cluster=cluster.name, hint=hint)
    return next(iter(named), None)


def exists(cloud: KceRegionClient, environment: Environment, cluster: ClusterSpec) -> bool:
    """Tell whether the cluster is there, and not about to go."""
    found = find(cloud, environment, cluster)
    return found is not None and found.status.lower() != DELETING


def list_clusters(cloud: KceRegionClient, environment: Environment) -> list[KceCluster]:
    """Return every cluster of the environment in a region, also one that its file has no more."""
    listed = cloud.clusters(payloads.name(environment.name, ""))
    return [found for found in listed if _is_ours(found, environment)]


def ensure(cloud: KceRegionClient, environment: Environment, cluster: ClusterSpec) -> str:
    """Make the cluster exist and run; return its identity."""
    purchase_record.keep_region(environment.name, cluster)
    found = find_or_await(cloud, environment, cluster)
    if found and found.status.lower() == DELETING:
        await_deletion(cloud, found)
        found = None
    identity = found.identity if found else _create(cloud, environment, cluster)
    purchase_record.pending_request_file(environment.name, cluster).unlink(missing_ok=True)
    _await_running(cloud, environment, cluster, identity)
    return identity


def find_or_await(
    cloud: KceRegionClient, environment: Environment, cluster: ClusterSpec
) -> KceCluster | None:
    """Return the cluster, or None; one that was asked for without an answer is waited for."""
    found = find(cloud, environment, cluster)
    if found or not purchase_record.pending_request_file(environment.name, cluster).exists():
        return found
    return _await_listed(cloud, environment, cluster)


def await_deletion(cloud: KceRegionClient, found: KceCluster) -> None:
    """Wait until KCE lists the cluster no more."""
    status = found.status

    def gone() -> bool | None:
        nonlocal status
        now = cloud.cluster(found.identity)
        status = now.status if now else ""
        return None if now else True

    polling.until(
        gone,
        f"KCE cluster {found.name} ({found.identity}) to be deleted",
        timeout=polling.timeouts().cluster,
        interval=POLL_INTERVAL,
        seen=lambda: status,
    )


def await_api_server(reach: Callable[[], T], cluster: str) -> T:
    """Return what `reach` returns once the cluster's API server answers from outside."""
    last = ""

    def answer() -> T | None:
        nonlocal last
        try:
            return reach()
        except (Rejected, ClusterUnreachable, NotReady) as error:
            last = error.message
            return None

    return polling.until(
        answer,
        "its API server to answer from outside",
        timeout=polling.timeouts().api_server,
        interval=POLL_INTERVAL,
        cluster=cluster,
        seen=lambda: last,
        error=ClusterUnreachable,
    )


def _create(cloud: KceRegionClient, environment: Environment, cluster: ClusterSpec) -> str:
    state.write_private(
        purchase_record.pending_request_file(environment.name, cluster),
        payloads.name(environment.name, cluster.name),
    )
    try:
        return cloud.create(payloads.creation(environment, cluster))
    except NoAnswer as error:
        if found := _await_listed(cloud, environment, cluster):
            return found.identity
        raise Rejected(
            f"{error.message}; the cluster is not listed after "
            f"{polling.timeouts().cloud:g} s either",
            cluster=cluster.name,
            hint=f"it is not created again automatically: check the KCE console, then: "
            f"isthmus up {environment.name}",
        ) from None
    except (Rejected, Throttled):
        purchase_record.pending_request_file(
            environment.name, cluster
        ).unlink()  # it was answered: nothing was made
        raise


def _await_listed(
    cloud: KceRegionClient, environment: Environment, cluster: ClusterSpec
) -> KceCluster | None:
    """Return a cluster as soon as it is listed, or None if it is not within the limit `cloud`."""
    try:
        return polling.until(
            lambda: find(cloud, environment, cluster),
            "the cluster to be listed",
            timeout=polling.timeouts().cloud,
            interval=POLL_INTERVAL,
        )
    except NotReady:
        return None


def _await_running(
    cloud: KceRegionClient, environment: Environment, cluster: ClusterSpec, identity: str
) -> None:
    status = ""

    def running() -> bool | None:
        nonlocal status
        found = cloud.cluster(identity)
        status = found.status if found else "not listed"
        events.report_progress(f"KCE: {status}")
        if status.lower() in BROKEN:
            raise Rejected(
                f"KCE cluster {identity} in {cloud.region} is {status}",
                cluster=cluster.name,
                hint="the KCE console says why; to leave nothing of it: "
                f"isthmus down {environment.name}",
            )
        return True if status.lower() == RUNNING else None

    polling.until(
        running,
        f"KCE cluster {identity} to run",
        timeout=polling.timeouts().cluster,
        interval=POLL_INTERVAL,
        cluster=cluster.name,
        seen=lambda: status,
    )


def _is_ours(found: KceCluster, environment: Environment) -> bool:
    return payloads.owner(found.description) == environment.name
