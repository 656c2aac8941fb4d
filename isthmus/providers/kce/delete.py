"""How a cluster goes, and all that it bought by itself: load balancers first, then the cluster."""

from isthmus import events, polling
from isthmus.adapters import kube
from isthmus.errors import ClusterUnreachable, NotReady, Rejected
from isthmus.providers.kce import create
from isthmus.providers.kce.api import KceCluster, KceRegionClient
from isthmus.step_results import Access

CREATING_STATUSES = ("creating", "initializing", "pending")
"""Words for a cluster that KCE may refuse to delete yet; it is asked again until it takes it."""


def delete_load_balancers(access: Access) -> None:
    """Leave no load balancer of the cluster's Services: each is paid for, and none goes with it.

    A cluster that stops answering meanwhile is deleted all the same.
    """
    client = kube.connect(access)
    try:
        services = [s for s in client.objects("Service") if _is_balanced(s)]
        for service in services:
            client.delete(service)
        polling.until(
            lambda: None if any(client.has_object(s) for s in services) else True,
            "its load balancers to be deleted",
            timeout=polling.timeouts().deletion,
            interval=1,
            cluster=access.cluster,
        )
    except (Rejected, NotReady, ClusterUnreachable) as error:
        events.report_progress(f"load balancers may be left, look in the console: {error.message}")


def request_deletion(cloud: KceRegionClient, found: KceCluster) -> None:
    """Make KCE delete the cluster; one that it still makes is asked about until it takes it."""
    last = ""

    def taken() -> bool | None:
        nonlocal last
        now = cloud.cluster(found.identity)
        if now is None or now.status.lower() == create.DELETING:
            return True
        try:
            cloud.delete(found.identity)
        except Rejected as error:
            if now.status.lower() not in CREATING_STATUSES:
                error.hint = error.hint or _hint(found)
                raise
            last = f"{now.status}: {error.message}"
            return None
        return True

    polling.until(
        taken,
        f"KCE to delete {found.name} ({found.identity})",
        timeout=polling.timeouts().cluster,
        interval=create.POLL_INTERVAL,
        seen=lambda: last,
    )


def _is_balanced(service: dict[str, object]) -> bool:
    spec = service.get("spec")
    return isinstance(spec, dict) and spec.get("type") == "LoadBalancer"


def _hint(found: KceCluster) -> str:
    return (
        f"is {found.name} protected against deletion, or still in a federation of the console? "
        "Undo that in the KCE console, then run it again"
    )
