"""Running a command in a container by the API server's `exec`, and knowing how it ended.

The stream is a websocket with a channel for each of standard output, standard error and, at the
end, the command's status (k8s.io/apimachinery pkg/util/remotecommand, v4.channel.k8s.io). A stream
without a status was cut off: what came through it is a part, and is never returned.

kubernetes.stream would make every request of a client a websocket while it runs, waits for ever for
a server that says nothing, and takes a cut stream for one that has ended.
"""

import json
import re
import time
from typing import Any, NamedTuple
from urllib.parse import urlencode, urlsplit

import websocket
from kubernetes import client
from kubernetes.client.exceptions import ApiException

from isthmus import polling
from isthmus.adapters import kube_client
from isthmus.errors import ClusterUnreachable, NotReady

PROTOCOL = "v4.channel.k8s.io"
STDIN, STDOUT, STDERR, STATUS = range(4)
SLOW_DIAL_SECONDS = 5.0
"""Seconds after which a refusal was a limit of the API server's own: it gives a kubelet 10 to
answer (k8s.io/kubernetes pkg/kubelet/client) before it says that it cannot be reached."""
IDLE_LIMIT_FACTOR = 4
"""Limits of a `request` without a byte after which the connection is lost; after one, the server is
asked for a byte by a ping (RFC 6455, 5.5.2)."""
BACKEND = "error dialing backend: "
DIALLED = re.compile(rf"(?:{BACKEND})?dial tcp (\S+:\d+): ([^\"\\]+)|{BACKEND}([^\"\\]+)")
"""What an API server says of a kubelet that it does not reach (apimachinery pkg/util/proxy)."""


class KubeletUnreachable(ClusterUnreachable):
    """An API server answers, and has no way to the kubelet of a node of its own."""


class Output(NamedTuple):
    """All that a command printed, and its exit code."""

    out: str
    err: str
    code: int = 0


def run(
    api: client.ApiClient, cluster: str, pod: str, namespace: str, container: str, argv: list[str]
) -> Output:
    """Return what a command in a container printed, once it has ended.

    Raises ApiException if it is refused, NotReady if pod or container are gone, ClusterUnreachable
    if the connection is cut, or silent IDLE_LIMIT_FACTOR times, or the kubelet cannot be reached.
    """
    where = f"exec in {namespace}/{pod}"
    begun = time.monotonic()
    stream = connect(api, cluster, (namespace, pod, container), argv)
    try:
        stream.settimeout(polling.timeouts().request)
        return _read(stream, begun, cluster, where)
    finally:
        stream.close(timeout=1)


def connect(
    api: client.ApiClient,
    cluster: str,
    place: tuple[str, str, str],
    argv: list[str],
    *,
    stdin: bool = False,
) -> websocket.WebSocket:
    """Return the open stream of a command in a container; `place`: namespace, pod, container.

    Raises as `run` does for a command that cannot be started.
    """
    namespace, pod, container = place
    where = f"exec in {namespace}/{pod}"
    asked = [("container", container), ("stdout", "true"), ("stderr", "true")]
    asked += [("stdin", "true")] if stdin else []
    asked += [("command", word) for word in argv]
    path = f"/api/v1/namespaces/{namespace}/pods/{pod}/exec?{urlencode(asked)}"
    begun = time.monotonic()
    try:
        return _open(api, path)
    except websocket.WebSocketBadStatusException as error:
        slow = time.monotonic() - begun > SLOW_DIAL_SECONDS
        raise _refused(error, cluster, where, slow) from None
    except (websocket.WebSocketException, OSError) as error:
        raise ClusterUnreachable(f"{where}: no connection: {error}", cluster=cluster) from None


def _open(api: client.ApiClient, path: str) -> websocket.WebSocket:
    configuration, headers = api.configuration, dict(api.default_headers)
    api.update_params_for_auth(headers, [], ["BearerToken"], path, "GET", None)
    stream = websocket.WebSocket(
        sslopt=kube_client.websocket_ssl_options(api), enable_multithread=False
    )
    url = configuration.host.rstrip("/").replace("http", "ws", 1) + path
    limits = polling.timeouts()
    stream.connect(
        url,
        header={name: value for name, value in headers.items() if name != "User-Agent"},
        subprotocols=[PROTOCOL],
        suppress_origin=True,
        # Of each: the connection, and the answer, which waits for the kubelet's.
        timeout=limits.connect + limits.request,
        **_proxy(configuration),
    )
    return stream


def _proxy(configuration: client.Configuration) -> dict[str, Any]:
    """Return how to go through the proxy that the client takes; else past those of the shell."""
    if not configuration.proxy:
        return {"http_no_proxy": ["*"]}
    parts = urlsplit(configuration.proxy)
    kind = parts.scheme if parts.scheme.startswith("socks") else "http"
    found: dict[str, Any] = {"http_proxy_host": parts.hostname, "http_proxy_port": parts.port}
    user = kube_client.proxy_user(configuration)
    return found | {"proxy_type": kind, "http_no_proxy": [], "http_proxy_auth": user}


def _read(stream: websocket.WebSocket, begun: float, cluster: str, where: str) -> Output:
    """Return both outputs once the status has come."""
    channels = {STDOUT: bytearray(), STDERR: bytearray(), STATUS: bytearray()}
    limit, silent = polling.timeouts().exec, IDLE_LIMIT_FACTOR * polling.timeouts().request
    heard = time.monotonic()
    while not channels[STATUS]:
        polling.raise_if_stopped()
        now = time.monotonic()
        out_of_time = now - begun > limit
        if out_of_time or now - heard > silent:
            ended = f"timed out after {limit:g} s" if out_of_time else f"no data for {silent:g} s"
            given_up = ClusterUnreachable(f"{where}: {ended}", cluster=cluster)
            given_up.timed_out = out_of_time
            raise given_up
        try:
            channel, data = read_frame(stream)
        except websocket.WebSocketTimeoutException:
            continue
        except (websocket.WebSocketException, OSError) as error:
            raise _cut(cluster, where, str(error)) from None
        heard = time.monotonic()
        channels.setdefault(channel, bytearray()).extend(data)
    out, err = (channels[n].decode(errors="replace") for n in (STDOUT, STDERR))
    return Output(out, err, _exit_code(bytes(channels[STATUS]), cluster, where))


def read_frame(stream: websocket.WebSocket) -> tuple[int, bytes]:
    """Return what came in a channel; of a frame that is none of a channel, nothing in channel 0."""
    try:
        code, frame = stream.recv_data_frame(control_frame=True)
    except websocket.WebSocketTimeoutException:
        stream.ping()
        raise
    if code == websocket.ABNF.OPCODE_CLOSE:
        raise websocket.WebSocketConnectionClosedException("closed before the command had ended")
    data = code in (websocket.ABNF.OPCODE_BINARY, websocket.ABNF.OPCODE_TEXT)
    return (frame.data[0], frame.data[1:]) if data and frame.data else (0, b"")


def _exit_code(data: bytes, cluster: str, where: str) -> int:
    """Return the exit code in a metav1.Status; raise NotReady if the command was not even run."""
    try:
        status = json.loads(data)
        if status["status"] == "Success":
            return 0
        if status.get("reason") == "NonZeroExitCode":
            causes = status["details"]["causes"]
            return int(next(c["message"] for c in causes if c["reason"] == "ExitCode"))
        said = str(status.get("message", ""))
    except (ValueError, KeyError, TypeError, StopIteration):
        said = data.decode(errors="replace")
    if found := DIALLED.search(said):
        raise _no_kubelet(cluster, where, found, slow=False)
    raise NotReady(f"{where}: {said[:300]}", cluster=cluster)


def _cut(cluster: str, where: str, how: str) -> ClusterUnreachable:
    text = f"{where}: the connection to {cluster}'s API server was lost: {how}"
    return ClusterUnreachable(text, cluster=cluster)


def _refused(
    error: websocket.WebSocketBadStatusException, cluster: str, where: str, slow: bool
) -> Exception:
    body = (error.resp_body or b"").decode(errors="replace")
    if error.status_code == 404:
        return NotReady(f"{where}: the pod is gone", cluster=cluster)
    if error.status_code >= 500 and (found := DIALLED.search(body)):
        return _no_kubelet(cluster, where, found, slow)
    refusal = ApiException(status=error.status_code, reason="", body=body)
    refusal.headers = error.resp_headers or {}
    return refusal


def _no_kubelet(cluster: str, where: str, found: re.Match[str], slow: bool) -> KubeletUnreachable:
    """Return that the API server does not reach a kubelet: final if it took a timeout to say so."""
    address, why = found[1] or "port 10250", (found[2] or found[3]).strip()
    raised = KubeletUnreachable(
        f"{where}: {cluster}'s API server does not reach the node's kubelet at {address}: {why}",
        cluster=cluster,
        hint="let the control plane reach TCP port 10250 of the nodes (firewall, security group), "
        "or see whether the kubelet runs: systemctl status kubelet",
    )
    raised.timed_out = slow
    return raised
