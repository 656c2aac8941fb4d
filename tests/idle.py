"""The flow region-pair on clusters that are only waited for: what is left is the engine.

A worker's run imports it; the stories, steps and locks are the real ones.
"""

import threading
import time

import pytest
from world import World

from flows.region_pair import region_pair
from isthmus import providers, state

__all__ = ["region_pair"]
WAIT = 1.0
"""Seconds that each cluster takes to be there."""
_lock = threading.Lock()
_worlds = {}


class Idle(World):
    """Clusters in memory that take their time."""

    def ensure(self, environment, cluster):
        time.sleep(WAIT)
        return super().ensure(environment, cluster)


def of(environment):
    with _lock:
        if environment.name not in _worlds:
            folder = state.ensure_folder(f"idle-{environment.name}")
            regions = [cluster.name for cluster in environment.clusters]
            made = _worlds[environment.name] = Idle(folder, regions=regions)
            made.install(pytest.MonkeyPatch())
        return _worlds[environment.name]


providers.get_provider = of
