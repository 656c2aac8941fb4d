"""One call from inside a pod: the command that makes it, and what its outcome means; pure."""

from dataclasses import dataclass
from typing import Literal

from isthmus.errors import BadEnvironment, IsthmusError, Unprepared
from isthmus.providers.kubeconfig import addresses

PATIENCE = 5
"""Seconds for one call, its connection included."""
FILE = "/tmp/isthmus-{}.crt"
UNCONNECTED = (5, 6, 7, 28)
"""What curl ends with if it came to no connection: no proxy, no name, refused, out of time."""
CURL = f"curl -q -sS --noproxy '*' --max-time {PATIENCE} -o /dev/null -w '%{{http_code}}'"


Target = Literal["server", "stand-in", "gateway"]


@dataclass(frozen=True)
class Call:
    """Something that a cluster's pods must reach in another cluster."""

    target: str
    """The cluster that is called."""
    url: str
    command: list[str]
    to: Target


def server(target: str, url: str, authority: str) -> Call:
    """Return the call of a remote's API server, known by the CA that istiod will know it by."""
    place = f"{url.rstrip('/')}/version"
    if not authority:
        return Call(target, place, ["sh", "-c", f'{CURL} -k "$0"', place], "server")
    file = FILE.format(target)
    script = f'printf %s "$2" > {file} && {CURL} --cacert {file} "$0"'
    return Call(target, place, ["sh", "-c", script, place, target, authority], "server")


def gateway(target: str, address: str, port: int, *, stands: bool) -> Call:
    """Return the call of the port of a gateway that stands, or of its stand-in's."""
    host = f"[{address}]" if ":" in address else address
    place = f"http://{host}:{port}/"
    return Call(
        target, place, ["sh", "-c", f'{CURL} "$0"', place], "gateway" if stands else "stand-in"
    )


def problem(call: Call, out: str, err: str) -> str:
    """Return nothing if there was an answer, else what curl says.

    Any HTTP status is an answer: that of a server which wants an account, too. A gateway that
    stands speaks no HTTP to strangers: that it takes the connection is what it can show.
    """
    code, said = out.strip()[-3:], err.strip().splitlines()[-1:] or ["no answer"]
    if code.isdigit() and code != "000":
        return ""
    if call.to == "gateway" and not any(f"({number})" in said[0] for number in UNCONNECTED):
        return ""
    return said[0]


def refusal(cluster: str, call: Call, said: str) -> IsthmusError:
    """Return what it means that a cluster's pods get no answer."""
    if call.to != "server":
        message = f"its pods do not reach {call.target}'s load balancer at {call.url}: {said}"
        hint = (
            f"open that port of {call.target}'s load balancer (and its nodes) to {cluster}: "
            "security groups, firewalls, routes"
        )
        return Unprepared(message, cluster=cluster, hint=hint)
    private = addresses.kind(call.url) == "private"
    which = ", a private address" if private else ""
    message = f"pods of {cluster} do not reach its API server at {call.url}{which}: {said}"
    hint = f"open it to {cluster}, or {addresses.override(call.target)}"
    return BadEnvironment(message, cluster=call.target, hint=hint)
