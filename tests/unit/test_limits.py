"""The key `timeouts`: each limit that a file may set is one that something really waits for."""

import re
import socket
import time
from pathlib import Path

import pytest
import refusing
from fakes import limited

from isthmus.adapters import kube, reaching
from isthmus.environment import Timeouts
from isthmus.errors import ClusterUnreachable
from isthmus.facts import Access

ROOT = Path(__file__).parents[2]
SOURCES = "\n".join(
    path.read_text()
    for part in ("isthmus", "tasks", "flows")
    for path in (ROOT / part).rglob("*.py")
)


@pytest.mark.parametrize("key", Timeouts.model_fields)
def test_every_limit_that_a_file_may_set_is_one_that_something_asks_for(key):
    assert re.search(rf"\blimits(\(\))?\.{key}\b", SOURCES), f"timeouts.{key} changes nothing"


@pytest.fixture
def silent(folders):
    """Return how to reach what takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield refusing.access(server.getsockname()[1], folders / "config", "beijing")


def test_a_request_takes_no_longer_than_its_limit(silent):
    begun = time.monotonic()
    with limited(request=0.2, retry=0), pytest.raises(ClusterUnreachable, match="timed out"):
        kube.Kube(silent).version()
    with limited(request=0.2), pytest.raises(ClusterUnreachable, match=r"within 0\.2 s"):
        reaching.reach(kube.Kube(silent))
    assert time.monotonic() - begun < 5


@pytest.mark.parametrize("seconds", [0, 1])
def test_a_server_that_refuses_is_asked_for_as_long_as_the_file_says(folders, seconds):
    with refusing.serving() as server:
        server.answers = [503] * 99
        access: Access = refusing.access(server.server_port, folders / "config", "beijing")
        with limited(retry=seconds), pytest.raises(ClusterUnreachable, match="503"):
            kube.Kube(access).version()
        assert (len(server.asked) > 1) is bool(seconds)
