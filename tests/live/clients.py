"""Clients that ask all the time, one request after the other, and count what is not answered."""

import os
import subprocess
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from tempfile import TemporaryFile
from typing import IO

from isthmus import polling

URL = "http://helloworld.sample:5000/hello"
ASK = """mkdir -p /tmp; until [ -e {stop} ]; do
curl -q -s -m 5 -w '#%{{http_code}} %{{errormsg}}\\n' {url}; sleep 0.05; done"""
"""No retry: what fails once is a failure. Istio's own retries are part of the mesh."""


@dataclass
class Client:
    """What one region's client has seen."""

    cluster: str
    said: list[str] = field(default_factory=list)

    @property
    def requests(self) -> list[str]:
        """Return status and error of each request."""
        return [line[1:] for line in self.said if line.startswith("#")]

    @property
    def failed(self) -> list[str]:
        """Return the requests that were not answered with 200."""
        return [f"{self.cluster}: {r}" for r in self.requests if not r.startswith("200")]

    @property
    def instances(self) -> Counter[str]:
        """Return how often each instance answered."""
        return Counter(s.partition("instance: ")[2] for s in self.said if "instance: " in s)


@contextmanager
def asking(kubectl, clusters: list[str]) -> Iterator[list[Client]]:
    """Let the callers of these clusters ask from before the block until after it."""
    stop = f"/tmp/stop-{uuid.uuid4().hex[:8]}"
    seen = [Client(cluster) for cluster in clusters]
    with ExitStack() as stack:
        # Files: a pipe that nobody reads would hold the clients up.
        files = [stack.enter_context(TemporaryFile("w+")) for _ in seen]
        asks = ASK.format(stop=stop, url=URL)
        running = [_start(kubectl, c.cluster, asks, f) for c, f in zip(seen, files, strict=True)]
        for process in running:
            stack.callback(process.kill)
        for file in files:
            polling.until(lambda file=file: _size(file) or None, "a request", timeout=60)
        yield seen
        for client, process, file in zip(seen, running, files, strict=True):
            _start(kubectl, client.cluster, f": > {stop}").wait(timeout=60)
            process.wait(timeout=60)
            file.seek(0)
            client.said += file.read().splitlines()


def _start(kubectl, cluster: str, script: str, out: IO[str] | None = None) -> subprocess.Popen[str]:
    command = kubectl(cluster, "-n", "sample", "exec", "deploy/sleep", "-c", "sleep", "--")
    return subprocess.Popen([*command, "sh", "-c", script], text=True, stdout=out)


def _size(file: IO[str]) -> int:
    return os.fstat(file.fileno()).st_size
