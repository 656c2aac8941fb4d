"""What is noted in the environment's folder before anything is bought: it must not be forgotten."""

from pathlib import Path

from isthmus import state
from isthmus.environment import ClusterSpec


def pending_request_file(environment: str, cluster: ClusterSpec) -> Path:
    """Return the file that is there while a cluster was asked for and no answer came."""
    return folder(environment) / f"{cluster.name}.asked"


def keep_region(environment: str, cluster: ClusterSpec) -> None:
    """Note where a cluster is bought: a later file may not name this region any more."""
    state.write_private(folder(environment) / f"{cluster.region}.region", "")


def regions(environment: str) -> list[str]:
    """Return every region in which something was bought for the environment."""
    suffix = ".region"
    return sorted(path.name.removesuffix(suffix) for path in folder(environment).glob(f"*{suffix}"))


def folder(environment: str) -> Path:
    """Return the folder of all that is kept of the cloud."""
    return state.folder(environment) / "kce"
