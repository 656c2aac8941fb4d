"""Whether the kernel lets a region's programs watch files: there is a limit for each user."""

import os
from pathlib import Path

from isthmus.providers.lab.host_requirements import MissingRequirement

LIMIT = Path("/proc/sys/fs/inotify/max_user_instances")
INSTANCES = {0: 16, 1337: 14}
"""Inotify instances of a region by user, as counted in one with the sample: of root its programs
(kubelet 6, controller-manager 5, API server 3), of Istio's proxies pilot-agent's 3 and Envoy's."""


def inotify_shortage(new_regions: int, limit: Path = LIMIT) -> list[MissingRequirement]:
    """Find whether the kernel lets the users of so many more regions watch files.

    Without an instance kubelet ends as soon as it has begun, and says so in its own log alone.
    """
    if not new_regions or not limit.exists():
        return []
    most, used = int(limit.read_text()), count_instances()
    wanted = {user: used.get(user, 0) + new_regions * count for user, count in INSTANCES.items()}
    if (needed := max(wanted.values())) <= most:
        return []
    what = f"inotify instances: {most} a user, {needed} needed with {new_regions} more regions"
    do = f"sysctl -w fs.inotify.max_user_instances={max(1024, 2 * needed)}; and in /etc/sysctl.d"
    return [MissingRequirement(what, do)]


def count_instances(processes: Path = Path("/proc")) -> dict[int, int]:
    """Return how many inotify instances each user's processes have."""
    found: dict[int, int] = {}
    for process in processes.glob("[0-9]*"):
        try:
            links = [os.readlink(link) for link in (process / "fd").iterdir()]
            user = process.stat().st_uid
        except OSError:
            continue  # it ended meanwhile
        found[user] = found.get(user, 0) + links.count("anon_inode:inotify")
    return found
