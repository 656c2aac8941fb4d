"""Bringing a region up: network, programs in order, the API server's first answer, DNS."""

from pathlib import Path

from isthmus import events, polling
from isthmus.adapters import kube
from isthmus.errors import ClusterUnreachable
from isthmus.providers.lab import components, network, region
from isthmus.providers.lab.images import names
from isthmus.providers.lab.tools import Toolchain
from isthmus.render import render
from isthmus.step_results import Access, changed


def bring_up(place: region.Region, tools: Toolchain, golden: Path) -> None:
    """Make the region's programs run, its API server answer and its DNS be asked for."""
    network.connect(place.network, place.cluster, place.index)
    if region.find_supervisor(place) is None:
        region.prepare(place, tools, golden)
        region.start(place)
    region.start_programs(place, list(components.FIRST_PROGRAMS))
    client = kube.connect(
        Access(cluster=place.cluster, kubeconfig=place.kubeconfig, context=place.cluster)
    )
    events.report_progress("waiting for its API server")
    _wait_for_api(place, client)
    region.start_programs(place, list(components.LATER_PROGRAMS))
    dns = render("lab/coredns.yaml.j2", image=names.COREDNS, address=components.CLUSTER_DNS)
    made = client.apply(dns, owner="")
    if made:
        events.report_progress(changed(place.cluster, made).found)


def _wait_for_api(place: region.Region, client: kube.Kube) -> None:
    def ready() -> bool | None:
        client.request("GET", "/readyz")
        # The namespaces are made by the server itself, a moment after it is ready.
        return True if client.get("Namespace", "kube-system") else None

    polling.until(
        ready,
        f"the API server to be ready (log: {place.folder}/logs/apiserver.log)",
        timeout=polling.timeouts().api_server,
        interval=0.1,
        cluster=place.cluster,
        seen=lambda: "ready, without namespace kube-system",
        error=ClusterUnreachable,
    )
