"""One call from inside a pod: the command that makes it, and what its outcome means."""

from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

from isthmus import polling
from isthmus.errors import BadEnvironment, IsthmusError, Unprepared
from isthmus.providers.kubeconfig import addresses
from isthmus.step_results import join_host_port

FILE = "/tmp/isthmus-{}.crt"
CURL_TLS_ERRORS = (51, 60)
"""What curl ends with if the server's certificate is of another CA, or for another name."""
CURL_CONNECT_ERRORS = (5, 6, 7, 28)
"""What curl ends with if it came to no connection: no proxy, no name, refused, out of time."""
TRUST = (
    "the server's certificate must have that address and be of the cluster's own CA or of the one "
    "in its kubeconfig (KubeFed knows the latter alone, and no `tls-server-name`)"
)
TargetKind = Literal["server", "stand-in", "gateway"]


@dataclass(frozen=True)
class ReachabilityProbe:
    """Something that a cluster's pods must reach in another cluster."""

    target: str
    """The cluster that is called."""
    url: str
    command: list[str]
    target_kind: TargetKind


def api_server_probe(target: str, url: str, authority: str, name: str = "") -> ReachabilityProbe:
    """Return the call of a remote's API server, known by the CA that istiod will know it by.

    `name` is that in the server's certificate, if it is not the URL's host (`tls-server-name`).
    """
    version = f"{url.rstrip('/')}/version"
    asked, options = _named(version, name) if name else (version, "")
    if not authority:
        return ReachabilityProbe(
            target, version, ["sh", "-c", f'{_curl()}{options} -k "$0"', asked], "server"
        )
    file = FILE.format(target)
    script = f'printf %s "$2" > {file} && {_curl()}{options} --cacert {file} "$0"'
    return ReachabilityProbe(
        target, version, ["sh", "-c", script, asked, target, authority], "server"
    )


def _named(url: str, name: str) -> tuple[str, str]:
    """Return the URL with another name for its host, and curl's option to find it all the same."""
    parts = urlsplit(url)
    port = parts.port or 443
    asked = parts._replace(netloc=f"{name}:{port}").geturl()
    return asked, f" --connect-to '::{join_host_port(parts.hostname or '', port)}'"


def gateway_probe(target: str, address: str, port: int, *, stands: bool) -> ReachabilityProbe:
    """Return the call of the port of a gateway that stands, or of its stand-in's."""
    url = f"http://{join_host_port(address, port)}/"
    command = ["sh", "-c", f'{_curl()} "$0"', url]
    return ReachabilityProbe(target, url, command, "gateway" if stands else "stand-in")


def parse_curl_error(call: ReachabilityProbe, out: str, err: str) -> str:
    """Return nothing if there was an answer, else what curl says.

    Any HTTP status is an answer: that of a server which wants an account, too. A gateway that
    stands speaks no HTTP to strangers: that it takes the connection is what it can show.
    """
    code, said = out.strip()[-3:], err.strip().splitlines()[-1:] or ["no answer"]
    if code.isdigit() and code != "000":
        return ""
    if call.target_kind == "gateway" and not _ended(said[0], CURL_CONNECT_ERRORS):
        return ""
    return said[0]


def _ended(said: str, numbers: tuple[int, ...]) -> bool:
    return any(f"({number})" in said for number in numbers)


def _curl() -> str:
    """Return what asks, and gives up when a connection's limit has run out."""
    limit = f"--max-time {polling.timeouts().connect:g}"
    return f"curl -q -sS --noproxy '*' {limit} -o /dev/null -w '%{{http_code}}'"


def unreachable_error(cluster: str, call: ReachabilityProbe, said: str) -> IsthmusError:
    """Return what it means that a cluster's pods get no answer."""
    if call.target_kind != "server":
        message = f"its pods do not reach {call.target}'s load balancer at {call.url}: {said}"
        hint = (
            f"open that port of {call.target}'s load balancer (and its nodes) to {cluster}: "
            "security groups, firewalls, routes"
        )
        return Unprepared(message, cluster=cluster, hint=hint)
    if _ended(said, CURL_TLS_ERRORS):
        message = f"pods of {cluster} do not trust its API server at {call.url}: {said}"
        return BadEnvironment(message, cluster=call.target, hint=TRUST)
    private = addresses.classify_address(call.url) == "private"
    which = ", a private address" if private else ""
    message = f"pods of {cluster} do not reach its API server at {call.url}{which}: {said}"
    hint = f"open it to {cluster}, or {addresses.override(call.target)}"
    return BadEnvironment(message, cluster=call.target, hint=hint)
