"""Clients that ask all the time, one request after the other, and count what is not answered."""

import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from isthmus import waiting

STOP = "/tmp/stop"
ASK = (
    f"mkdir -p /tmp; rm -f {STOP}; until [ -e {STOP} ]; do "
    "curl -q -s -m 5 -w ' %{http_code} %{errormsg}\\n' http://helloworld.sample:5000/hello "
    "| tr '\\n' ' '; echo; sleep 0.05; done"
)
"""No retry: what fails once is a failure. Istio's own retries are part of the mesh."""


@dataclass
class Client:
    """What one region's client has seen: a line for each request."""

    cluster: str
    lines: list[str] = field(default_factory=list)

    @property
    def failed(self) -> list[str]:
        """The requests that were not answered with 200."""
        return [f"{self.cluster}: {line}" for line in self.lines if " 200 " not in f"{line} "]

    @property
    def instances(self) -> Counter[str]:
        """How often each instance answered."""
        said = (line.partition("instance: ")[2].split(" ")[0] for line in self.lines)
        return Counter(name for name in said if name)


@contextmanager
def asking(kubectl, clusters: list[str]) -> Iterator[list[Client]]:
    """Let the callers of these clusters ask from before the block until after it."""
    seen = [Client(cluster) for cluster in clusters]
    running = [_start(kubectl, client.cluster) for client in seen]
    try:
        for process in running:
            waiting.until(
                lambda process=process: process.stdout.readline() or None, "a request", timeout=60
            )
        yield seen
        _stop(kubectl, clusters)
        for client, process in zip(seen, running, strict=True):
            out, _ = process.communicate(timeout=60)
            client.lines += [line for line in out.splitlines() if line.strip()]
    finally:
        for process in running:
            process.kill()


def _start(kubectl, cluster: str) -> subprocess.Popen[str]:
    command = kubectl(cluster, "-n", "sample", "exec", "deploy/sleep", "-c", "sleep", "--")
    return subprocess.Popen([*command, "sh", "-c", ASK], text=True, stdout=subprocess.PIPE)


def _stop(kubectl, clusters: list[str]) -> None:
    for cluster in clusters:
        command = kubectl(cluster, "-n", "sample", "exec", "deploy/sleep", "-c", "sleep", "--")
        subprocess.run([*command, "touch", STOP], check=True, timeout=60)
