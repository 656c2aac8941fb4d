"""Dialling from inside a pod: does a name resolve, does TCP come about, in curl's words.

Istio's own images have curl (istio docker/Dockerfile.base); its distroless ones have not.
"""

import time
from typing import NamedTuple

from isthmus.adapters.api_server import ApiServer
from isthmus.errors import NotReady

COULD_NOT_RESOLVE = (5, 6)
"""curl's exit codes: it could not resolve a proxy's name, or the host's (curl.se, EXIT CODES)."""
UNKNOWN_OPTION = 2
"""curl's exit code for a version of it that is too old."""
NOT_STARTED = 126
"""From here on an exit code is none of curl's: it could not be run."""
WRITE_OUT = r"%{remote_ip} %{time_connect} %{errormsg}"
NO_PROGRAM = "has no curl"


class Pod(NamedTuple):
    """A container in which commands are run."""

    namespace: str
    name: str
    container: str

    @property
    def text(self) -> str:
        """`namespace/name`, as messages have it."""
        return f"{self.namespace}/{self.name}"


class Dialled(NamedTuple):
    """How far a TCP connection from a pod came."""

    address: str
    """The address that was taken for a name."""
    connected: bool
    error_at: str
    """`name`, `tcp`, or nothing."""
    error: str
    seconds: float
    missing: bool = False
    """Whether the container has no program that could dial."""


def dial(server: ApiServer, pod: Pod, host: str, port: int, limit: float) -> Dialled:
    """Return how far a connection from a pod to `host:port` comes within `limit` seconds."""
    where = f"[{host}]" if ":" in host else host
    # Whatever answers, curl's own protocol ends a moment later; only the way counts.
    command = ["curl", "-q", "-sS", "--noproxy", "*", "-o", "/dev/null"]
    command += ["--connect-timeout", f"{limit:g}", "-m", f"{limit + 1:g}", "-w", WRITE_OUT]
    begun = time.monotonic()
    try:
        printed = server.execute(
            pod.name, pod.namespace, pod.container, [*command, f"http://{where}:{port}/"]
        )
    except NotReady as error:
        return _without_curl(error)
    seconds = round(time.monotonic() - begun, 2)
    if printed.code >= NOT_STARTED or printed.code == UNKNOWN_OPTION:
        return Dialled("", False, "", NO_PROGRAM, seconds, missing=True)
    address, took, said = (*printed.out.split(" ", 2), "", "", "")[:3]
    # Where the resolver says nothing at all, curl ends as with every other timeout.
    if printed.code in COULD_NOT_RESOLVE or (not address and "Resolving" in said):
        return Dialled("", False, "name", said.strip() or printed.err.strip(), seconds)
    if took.strip("0."):
        return Dialled(address, True, "", "", seconds)
    return Dialled(address, False, "tcp", said.strip() or printed.err.strip(), seconds)


def is_missing_program(error: NotReady) -> bool:
    """Tell whether a command was not run because the container has no such program."""
    return "executable file not found" in error.message or "no such file" in error.message


def _without_curl(error: NotReady) -> Dialled:
    if is_missing_program(error):
        return Dialled("", False, "", NO_PROGRAM, 0.0, missing=True)
    raise error
