"""From inside a pod: TCP as curl tells of it, and TLS through netcat, to a real TLS server."""

import contextlib
import datetime
import socket
import ssl
import threading
from types import SimpleNamespace

import pytest
import websocket

from isthmus import certificates
from isthmus.adapters import pod_dial, pod_exec, pod_tls
from isthmus.adapters.pod_exec import Output
from isthmus.errors import NotReady
from isthmus.step_results import Access

POD = pod_dial.Pod("sample", "sleep-1", "istio-proxy")
SERVER = SimpleNamespace(access=Access(cluster="east", kubeconfig="/k", context="east"), api=None)


class Stream:
    """The stream of `nc` in a pod: what is sent to it goes to a socket, and back."""

    def __init__(self, address):
        self.socket = socket.create_connection(address)
        self.ended = False

    def settimeout(self, seconds):
        self.socket.settimeout(seconds)

    def send_binary(self, frame):
        assert frame[0] == pod_exec.STDIN
        self.socket.sendall(frame[1:])

    def recv_data_frame(self, control_frame):
        try:
            data = self.socket.recv(16384)
        except TimeoutError:
            raise websocket.WebSocketTimeoutException() from None
        if data:
            return websocket.ABNF.OPCODE_BINARY, SimpleNamespace(data=bytes([1]) + data)
        return websocket.ABNF.OPCODE_BINARY, SimpleNamespace(data=b'\x03{"status":"Success"}')

    def ping(self):
        pass

    def close(self, timeout):
        self.socket.close()


@pytest.fixture
def tls(tmp_path, monkeypatch):
    """Give a function that starts a TLS server and makes `nc` in a pod lead to it."""
    with contextlib.ExitStack() as ended:

        def serve(alpn=("istio",), asks_client=False, speaks=True):
            listener = socket.create_server(("127.0.0.1", 0))
            ended.callback(listener.close)
            context = _context(tmp_path, alpn, asks_client)
            threading.Thread(
                target=_answer, args=(listener, context if speaks else None), daemon=True
            ).start()
            monkeypatch.setattr(pod_exec, "connect", lambda *a, **k: Stream(listener.getsockname()))

        yield serve


def _context(folder, alpn, asks_client):
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes

    key = certificates.new_key()
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "who-answers")])
    made = certificates.builder(name, name, key).sign(key, hashes.SHA256())
    (folder / "cert").write_text(certificates.pem(made))
    (folder / "key").write_text(certificates.key_pem(key))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert", folder / "key")
    context.set_alpn_protocols(list(alpn))
    if asks_client:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(folder / "cert")
    return context


def _answer(listener, context):
    with contextlib.suppress(OSError):
        plain, _ = listener.accept()
        if context is None:
            plain.recv(16384)
            plain.close()
            return
        with contextlib.suppress(ssl.SSLError), context.wrap_socket(plain, server_side=True) as s:
            s.recv(10)


def shake(limit=5.0):
    return pod_tls.handshake(SERVER, POD, "1.2.3.4", 15443, "a.b", ("istio",), limit)


def test_the_chain_is_shown_whether_anybody_trusts_it_or_not(tls):
    tls()
    found = shake()
    from isthmus.diagnosis.certificate_facts import facts_of_der

    assert (found.error, found.alpn, found.wants_client_certificate) == ("", "istio", False)
    [facts] = facts_of_der(found.chain)
    assert facts.subject == "CN=who-answers"
    assert facts.not_after > datetime.datetime.now().timestamp()


def test_a_server_that_asks_for_a_client_certificate_is_told_from_one_that_does_not(tls):
    tls(asks_client=True)
    assert shake().wants_client_certificate


def test_a_server_that_closes_during_the_handshake_is_told(tls):
    tls(speaks=False)
    found = shake()
    assert "closed during the handshake" in found.error
    assert not found.chain


def test_a_server_that_says_nothing_is_given_up_after_the_limit(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setattr(pod_exec, "connect", lambda *a, **k: Stream(silent.getsockname()))
        assert shake(limit=0.3).error == "no answer to the TLS ClientHello"


@pytest.mark.parametrize(
    ("printed", "expected"),
    [
        (Output("10.0.0.1 0.002 Empty reply", "", 52), (True, "", "")),
        (
            Output(" 0.000000 Connection timed out after 3001 ms", "", 28),
            (False, "tcp", "Connection timed out after 3001 ms"),
        ),
        (
            Output(" 0.000000 Could not resolve host: x", "", 6),
            (False, "name", "Could not resolve host: x"),
        ),
        (
            Output(" 0.000000 Resolving timed out after 3000 milliseconds", "", 28),
            (False, "name", "Resolving timed out after 3000 milliseconds"),
        ),
    ],
)
def test_curl_tells_how_far_a_connection_came(printed, expected):
    server = SimpleNamespace(execute=lambda *a: printed)
    found = pod_dial.dial(server, POD, "x", 1, 3.0)
    assert (found.connected, found.error_at, found.error) == expected


def test_an_image_without_curl_is_no_failure_of_the_network():
    def execute(*_):
        raise NotReady('exec: "curl": executable file not found in $PATH')

    assert pod_dial.dial(SimpleNamespace(execute=execute), POD, "x", 1, 3.0).missing
