"""The lab as a provider: a region a cluster, made, found and deleted on this machine."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from isthmus import state
from isthmus.adapters import kube
from isthmus.environment import ClusterSpec, Environment
from isthmus.errors import ClusterUnreachable, NotReady
from isthmus.providers.base import ProviderDefaults
from isthmus.providers.lab import (
    archives,
    bootstrap,
    closed_port,
    defaults,
    kubernetes_release,
    network,
    preflight,
    region,
)
from isthmus.providers.lab.images import ensure_golden, import_into_region
from isthmus.step_results import Access


@dataclass(frozen=True)
class LabProvider:
    """Regions on this machine, for one stack."""

    stack: str
    disposable = True

    @property
    def defaults(self) -> ProviderDefaults:
        """The lab's images, small requests, and what a vanilla Envoy needs."""
        return defaults.of(self.stack)

    def check(self, environment: Environment) -> None:
        """Raise Unprepared with all that this machine lacks for so many regions.

        Also if Kubernetes is of a version that is not to be had, or if an image that they shall run
        is neither made here nor in an archive.
        """
        preflight.check_machine(environment)
        kubernetes_release.check(environment.stack)
        archives.required_archives(environment, self.defaults.images)

    def ensure(self, environment: Environment, cluster: ClusterSpec) -> Access:
        """Make the cluster's region run and its API server answer."""
        tools = kubernetes_release.ensure(environment.stack)
        given = archives.required_archives(environment, self.defaults.images)
        golden = ensure_golden(tools, given)
        place = _reserve_region(environment, cluster)
        bootstrap.bring_up(place, tools, golden)
        import_into_region(place.folder, given)
        return _access(place)

    def access(self, environment: Environment, cluster: ClusterSpec) -> Access:
        """Return how to reach a region; raises ClusterUnreachable if it does not run."""
        folder = state.folder(environment.name)
        known = network.find_network(folder)
        index = _indices(folder).get(cluster.name)
        hint = f"isthmus up {environment.name}"
        if known is None or index is None:
            raise NotReady("its region does not exist", cluster=cluster.name, hint=hint)
        place = _region(folder, known, cluster.name, cluster.region, index)
        if region.find_supervisor(place) is None:
            # As of any cluster that does not answer; only that no second look helps is known here.
            away = ClusterUnreachable("its region is not running", cluster=cluster.name, hint=hint)
            away.timed_out = True
            raise away
        return _access(place)

    def release(self, environment: Environment, cluster: ClusterSpec) -> None:
        """Leave nothing of the cluster's region; its place may be taken by another one."""
        folder = state.folder(environment.name)
        known, index = network.find_network(folder), _indices(folder).get(cluster.name)
        if known is None or index is None:
            return
        region.remove(_region(folder, known, cluster.name, cluster.region, index))
        with FileLock(folder / "regions.lock"):
            rest = {name: i for name, i in _indices(folder).items() if name != cluster.name}
            state.write_private(folder / "regions.json", json.dumps(rest))

    def delete(self, environment: Environment) -> None:
        """Leave no process, mount, namespace, bridge, cable, control group or folder of the lab."""
        folder = state.folder(environment.name)
        known = network.find_network(folder)
        if known is None:
            return
        for name, index in _indices(folder).items():
            region.remove(_region(folder, known, name, name, index))
        network.remove_network(folder)
        (folder / "regions.json").unlink(missing_ok=True)
        (folder / "regions").rmdir() if (folder / "regions").exists() else None


@contextmanager
def closed_gateway(environment: Environment, cluster: ClusterSpec, port: int) -> Iterator[None]:
    """Let a region's gateway give no answer at its port while the block runs.

    Raises NotReady if the region was never made.
    """
    made = network.find_network(state.folder(environment.name))
    if made is None:
        raise NotReady(f"{environment.name} has no network", hint=f"isthmus up {environment.name}")
    with closed_port.closed(made.namespace(cluster.name), port):
        yield


def _reserve_region(environment: Environment, cluster: ClusterSpec) -> region.Region:
    folder = state.ensure_folder(environment.name)
    known = network.ensure_network(folder)
    with FileLock(folder / "regions.lock"):
        indices = _indices(folder)
        if cluster.name not in indices:
            free = next(i for i in range(len(indices) + 1) if i not in indices.values())
            indices[cluster.name] = free
            # Written before anything is made, so that `down` knows of it whatever happens next.
            state.write_private(folder / "regions.json", json.dumps(indices))
    return _region(folder, known, cluster.name, cluster.region, indices[cluster.name])


def _region(
    folder: Path, known: network.LabNetwork, cluster: str, label: str, index: int
) -> region.Region:
    return region.Region(
        cluster=cluster,
        label=label,
        index=index,
        folder=folder / "regions" / cluster,
        network=known,
    )


def _indices(folder: Path) -> dict[str, int]:
    record = folder / "regions.json"
    found: dict[str, int] = json.loads(record.read_text()) if record.exists() else {}
    return found


def _access(place: region.Region) -> Access:
    access = Access(cluster=place.cluster, kubeconfig=place.kubeconfig, context=place.cluster)
    return access.model_copy(update={"uid": kube.connect(access).uid()})
