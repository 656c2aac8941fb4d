"""A TLS handshake from inside a pod, to see who answers there, whether anybody trusts it or not.

Its bytes go through netcat in the pod, as `exec` carries standard input and output; the handshake
itself is made here, because curl cannot offer Istio's ALPN and shows no chain. Istio's own images
have netcat (istio docker/Dockerfile.base); its distroless ones have not.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import websocket
from cryptography.hazmat.primitives.serialization import Encoding
from OpenSSL import SSL

from isthmus import polling
from isthmus.adapters import pod_exec
from isthmus.adapters.api_server import ApiServer
from isthmus.adapters.kube_errors import translate_errors
from isthmus.adapters.pod_dial import Pod

CHUNK = 16384


@dataclass
class Handshake:
    """What a TLS handshake showed."""

    chain: list[bytes] = field(default_factory=list)
    """DER, leaf first, whether anybody trusts it or not."""
    alpn: str = ""
    wants_client_certificate: bool = False
    error: str = ""
    missing: bool = False
    """Whether the container has no netcat."""


def handshake(
    server: ApiServer,
    pod: Pod,
    host: str,
    port: int,
    name: str,
    alpn: tuple[str, ...],
    limit: float,
) -> Handshake:
    """Return what `host:port` shows when it is greeted from a pod as `name` (SNI) by TLS."""
    with _netcat(server, pod, host, port, limit) as stream:
        return _shake(stream, name, alpn, limit)


@contextmanager
def _netcat(
    server: ApiServer, pod: Pod, host: str, port: int, limit: float
) -> Iterator[websocket.WebSocket]:
    argv = ["nc", "-w", f"{max(1, round(limit))}", host, str(port)]
    with translate_errors(server.access, f"exec in {pod.text}"):
        stream = pod_exec.connect(
            server.api,
            server.access.cluster,
            (pod.namespace, pod.name, pod.container),
            argv,
            stdin=True,
        )
    try:
        yield stream
    finally:
        stream.close(timeout=1)


def _shake(
    stream: websocket.WebSocket, name: str, alpn: tuple[str, ...], limit: float
) -> Handshake:
    found = Handshake()
    connection = _connection(name, alpn, found)
    deadline = time.monotonic() + limit
    while True:
        try:
            connection.do_handshake()
        except SSL.WantReadError:
            _send(stream, connection)
        except SSL.Error as error:
            found.error = _said(error)
            break
        else:
            _send(stream, connection)
            break
        polling.raise_if_stopped()
        data, found.error = _receive(stream, deadline)
        if found.error:
            break
        connection.bio_write(data)
    found.missing = "executable file not found" in found.error
    found.chain = _chain(connection)
    found.alpn = (connection.get_alpn_proto_negotiated() or b"").decode() if not found.error else ""
    return found


def _connection(name: str, alpn: tuple[str, ...], found: Handshake) -> SSL.Connection:
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    # Who answers is what is asked; whether that is right is judged later.
    context.set_verify(SSL.VERIFY_NONE, lambda *_: True)

    def told(connection: SSL.Connection, where: int, _: int) -> None:
        if b"certificate request" in connection.get_state_string().lower():
            found.wants_client_certificate = True

    context.set_info_callback(told)
    if alpn:
        context.set_alpn_protos([protocol.encode() for protocol in alpn])
    connection = SSL.Connection(context, None)
    if name:
        connection.set_tlsext_host_name(name.encode())
    connection.set_connect_state()
    return connection


def _send(stream: websocket.WebSocket, connection: SSL.Connection) -> None:
    while True:
        try:
            data = connection.bio_read(CHUNK)
        except SSL.WantReadError:
            return
        # Netcat may have ended already: why is in what comes back, and is read next.
        with suppress(websocket.WebSocketException, OSError):
            stream.send_binary(bytes([pod_exec.STDIN]) + data)


def _receive(stream: websocket.WebSocket, deadline: float) -> tuple[bytes, str]:
    """Return what came back, or why nothing comes any more."""
    while (left := deadline - time.monotonic()) > 0:
        stream.settimeout(min(left, 1.0))
        try:
            channel, data = pod_exec.read_frame(stream)
        except websocket.WebSocketTimeoutException:
            continue
        except (websocket.WebSocketException, OSError) as error:
            return b"", f"the connection was closed: {error}"
        if channel == pod_exec.STDOUT and data:
            return data, ""
        if channel == pod_exec.STATUS:
            said = data.decode(errors="replace")
            missing = "executable file not found" in said
            return b"", said if missing else "the connection was closed during the handshake"
    return b"", "no answer to the TLS ClientHello"


def _chain(connection: SSL.Connection) -> list[bytes]:
    found = connection.get_peer_cert_chain() or []
    return [c.to_cryptography().public_bytes(Encoding.DER) for c in found]


def _said(error: SSL.Error) -> str:
    """Return OpenSSL's own words: a list of (library, function, reason)."""
    entries = error.args[0] if error.args and isinstance(error.args[0], list) else []
    reasons = [str(entry[-1]) for entry in entries if entry]
    return "; ".join(reasons) or "the connection was closed during the handshake"
