"""What many tests need: clusters in memory, folders of their own, a cloud."""

import importlib
import os
import pkgutil

import pytest
from fakes import FakeKube

from isthmus import events
from isthmus.step_results import Access

os.environ.setdefault("DO_NOT_TRACK", "1")


@pytest.fixture
def cluster(tmp_path):
    """Return a function that makes a cluster in memory."""

    def make(name="beijing"):
        return FakeKube(Access(cluster=name, kubeconfig=tmp_path / name, context=name, uid="u"))

    return make


@pytest.fixture
def folders(tmp_path, monkeypatch):
    """Keep state and cache of this test to itself."""
    monkeypatch.setenv("ISTHMUS_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("ISTHMUS_CACHE", str(tmp_path / "cache"))
    return tmp_path


@pytest.fixture
def world(folders, monkeypatch):
    """Two regions in memory that are joined by nothing yet; a retry comes at once."""
    from world import REGIONS

    return _world(folders, monkeypatch, REGIONS)


@pytest.fixture
def three(folders, monkeypatch):
    """Three such regions, the last one guangzhou."""
    from world import REGIONS

    return _world(folders, monkeypatch, (*REGIONS, "guangzhou"))


def _world(folders, monkeypatch, regions):
    from prefect import Task
    from world import CANARY, World

    import tasks

    made = World(folders, token=CANARY, regions=regions)
    made.install(monkeypatch)
    for module in pkgutil.iter_modules(tasks.__path__, "tasks."):
        for found in vars(importlib.import_module(module.name)).values():
            if isinstance(found, Task):
                monkeypatch.setattr(found, "retry_delay_seconds", 0)
                monkeypatch.setattr(found, "retry_jitter_factor", None)
    return made


@pytest.fixture
def cloud(folders, monkeypatch):
    """The API of Kingsoft Cloud, with keys for it; whoever waits for it waits for moments."""
    import kce

    from isthmus.providers.kce import api, create, credentials

    monkeypatch.setenv(credentials.ACCESS_KEY_VARIABLE, kce.ACCESS)
    monkeypatch.setenv(credentials.SECRET_KEY_VARIABLE, kce.SECRET)
    monkeypatch.setattr(api, "THROTTLE_RETRY_INTERVAL", 0.01)
    monkeypatch.setattr(create, "POLL_INTERVAL", 0.01)
    with kce.Kce() as made:
        monkeypatch.setenv(api.ENDPOINT, made.url)
        yield made


@pytest.fixture
def told():
    """What a run tells: (kind, step, cluster), in order."""
    heard = []
    with events.subscribe(lambda e: heard.append((e.kind, e.name, e.cluster))):
        yield heard
