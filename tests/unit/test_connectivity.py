"""An API server that cannot be had: each cause is told apart, against real sockets."""

import base64
import ipaddress
import json
import socket
import ssl
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import refusing
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import NameOID
from fakes import limit, limited

from isthmus.adapters import api_server, connectivity
from isthmus.adapters.api_server import ApiServer
from isthmus.certificates import builder, key_pem, new_key, pem
from isthmus.errors import ClusterUnreachable, Unprepared
from isthmus.step_results import Access

TOKEN = "canary-token-of-somebody"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.seen.append((self.path, self.headers.get("Authorization")))
        status, body = self.server.before.pop(0) if self.server.before else self.server.answer
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def certificate(name):
    key, subject = new_key(), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    it = x509.IPAddress(ipaddress.ip_address(name)) if ":" in name else x509.DNSName(name)
    names = x509.SubjectAlternativeName([it])
    whole = builder(subject, subject, key).add_extension(names, False)
    return pem(whole.sign(key, hashes.SHA256())), key_pem(key)


class ByIpv6(ThreadingHTTPServer):
    address_family = socket.AF_INET6


@contextmanager
def serving(tls=None, at="127.0.0.1"):
    server = (ByIpv6 if ":" in at else ThreadingHTTPServer)((at, 0), Handler)
    server.seen, server.before = [], []
    server.answer = (200, b'{"gitVersion": "v1.36.3"}')
    if tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tls)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    with refusing.running(server):
        yield server


@pytest.fixture
def api():
    with serving() as server:
        yield server


@pytest.fixture
def access(tmp_path, monkeypatch):
    """Return a function that makes the access to a URL."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,api.invalid")
    monkeypatch.setattr(api_server, "RETRY_INTERVAL", 0.01)

    def make(url, context="admin", **cluster):
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "c", "cluster": {"server": url, **cluster}}],
            "users": [{"name": "u", "user": {"token": TOKEN}}],
            "contexts": [{"name": "admin", "context": {"cluster": "c", "user": "u"}}],
        }
        path = tmp_path / "config"
        path.write_text(json.dumps(document))
        return Access(cluster="south", kubeconfig=path, context=context)

    return make


def url_of(server, scheme="http"):
    return f"{scheme}://127.0.0.1:{server.server_port}"


def refused(access):
    with limited(retry=0.05), pytest.raises((ClusterUnreachable, Unprepared)) as caught:
        connectivity.get_server_version(ApiServer(access))
    assert caught.value.cluster == "south" and caught.value.hint
    assert TOKEN not in str(caught.value)
    return caught.value


def test_a_server_that_answers_says_its_version(api, access):
    assert connectivity.get_server_version(ApiServer(access(url_of(api)))) == (
        url_of(api),
        "v1.36.3",
    )
    assert api.seen == [("/version", f"Bearer {TOKEN}")]


def has_ipv6():
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6 loopback")
@pytest.mark.parametrize(
    ("name", "more", "said"),
    [
        ("::1", {}, ""),
        ("api.example", {"tls-server-name": "api.example"}, ""),
        ("api.example", {}, "TLS fails"),
        ("::1", {"tls-server-name": "api.example"}, "TLS fails"),
    ],
)
def test_a_server_by_ipv6_is_known_by_its_address_or_by_the_name_that_is_said(
    access, tmp_path, name, more, said
):
    whole, key = certificate(name)
    (tmp_path / "tls.pem").write_text(whole + key)
    more = {"certificate-authority-data": base64.b64encode(whole.encode()).decode(), **more}
    with serving(tmp_path / "tls.pem", at="::1") as server:
        url = f"https://[::1]:{server.server_port}"
        given = access(url, **more)
        if said:
            assert said in refused(given).message
        else:
            assert connectivity.get_server_version(ApiServer(given)) == (url, "v1.36.3")


def of_both(*families):
    """Return what a resolver says of a name that has an address of each of these families."""
    known = {socket.AF_INET: ("192.0.2.7", 0), socket.AF_INET6: ("2001:db8::7", 0, 0, 0)}
    return [(f, socket.SOCK_STREAM, 6, "", known[f]) for f in families]


@pytest.mark.parametrize(
    ("families", "found"),
    [
        ([socket.AF_INET], ["192.0.2.7"]),
        ([socket.AF_INET6], ["2001:db8::7"]),
        ([socket.AF_INET6, socket.AF_INET], ["192.0.2.7"]),
    ],
)
def test_a_load_balancers_name_that_has_ipv6_alone_is_found_too(monkeypatch, families, found):
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: of_both(*families))
    assert connectivity.resolve("lb.example", "south") == found


def test_a_refusal_that_passes_is_none(api, access):
    api.before = [(503, b""), (429, b"{}"), (200, b"")]
    assert connectivity.get_server_version(ApiServer(access(url_of(api)))) == (
        url_of(api),
        "v1.36.3",
    )


@pytest.mark.parametrize(
    ("status", "kind", "said"),
    [
        (401, Unprepared, "expired or was revoked"),
        (403, Unprepared, "HTTP 403 Forbidden"),
        (429, ClusterUnreachable, "answers HTTP 429"),
        (503, ClusterUnreachable, "answers HTTP 503"),
    ],
)
def test_what_the_server_refuses_is_told_apart(api, access, status, kind, said):
    api.answer = (status, b'{"message": "no"}')
    found = refused(access(url_of(api)))
    assert type(found) is kind and said in found.message
    passes = status in (429, 503)
    assert (len(api.seen) > 1) == passes, "what may pass is asked again, and nothing else is"


def jwt(**claims):
    parts = (json.dumps(part).encode() for part in ({"alg": "none"}, claims))
    return ".".join([base64.urlsafe_b64encode(p).decode().rstrip("=") for p in parts] + ["sig"])


@pytest.mark.parametrize(
    ("token", "said"),
    [
        (jwt(exp=1764000000), "the token expired on 2025-11-24 at 16:00 UTC"),
        (jwt(exp=9999999999), None),
        (jwt(sub="no end"), None),
        (jwt(exp="soon"), None),
        ("opaque", None),
        ("a.b.c", None),
    ],
)
def test_a_token_that_says_when_it_ended_is_told_so(api, access, token, said):
    api.answer = (401, b"{}")
    mine = access(url_of(api))
    document = json.loads(mine.kubeconfig.read_text())
    document["users"][0]["user"]["token"] = token
    mine.kubeconfig.write_text(json.dumps(document))
    message = refused(mine).message
    assert said in message if said else "ended" not in message
    assert token not in message


@pytest.mark.parametrize("body", [b"<html>hello</html>", b'{"name": "something else"}', b"[]"])
def test_something_else_that_answers_is_no_api_server(api, access, body):
    api.answer = (200, body)
    assert "not an API server" in refused(access(url_of(api))).message


def test_a_port_where_nobody_listens_is_told(api, access):
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    found = refused(access(f"https://127.0.0.1:{port}"))
    assert type(found) is ClusterUnreachable and "connection refused" in found.message


def test_a_name_without_an_address_is_told(access):
    found = refused(access("https://api.invalid:6443"))
    assert type(found) is ClusterUnreachable and "DNS" in found.message


def test_a_server_that_takes_too_long_is_told(access, monkeypatch):
    limit(monkeypatch, request=0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        found = refused(access(f"http://127.0.0.1:{silent.getsockname()[1]}"))
    assert type(found) is ClusterUnreachable and "no answer within" in found.message


def test_a_server_that_speaks_no_tls_is_told(api, access):
    found = refused(access(url_of(api, "https")))
    assert "TLS fails" in found.message and "does not speak TLS" in found.hint


@pytest.mark.parametrize(
    ("trusted", "said", "do"),
    [
        (False, "TLS fails", "put the CA"),
        (True, "TLS fails", "a name or address that the server's certificate has"),
    ],
)
def test_a_certificate_that_is_not_good_for_the_address_is_told(
    access, tmp_path, trusted, said, do
):
    whole, key = certificate("api.example")
    (tmp_path / "both").write_text(whole + key)
    other, _ = certificate("api.example")
    authority = base64.b64encode((whole if trusted else other).encode()).decode()
    with serving(tmp_path / "both") as server:
        found = refused(
            access(url_of(server, "https"), **{"certificate-authority-data": authority})
        )
    assert said in found.message and do in found.hint


def test_a_context_that_is_not_in_the_file_is_told(access):
    found = refused(access("https://api.invalid", context="absent"))
    assert type(found) is Unprepared and "absent" in found.message
    assert "get-contexts" in found.hint


@pytest.mark.parametrize("text", ["", "[]", "hello", "{", "clusters: 3"])
def test_a_file_that_is_no_kubeconfig_is_told(access, text):
    broken = access("https://api.invalid")
    broken.kubeconfig.write_text(text)
    assert type(refused(broken)) is Unprepared


@pytest.mark.parametrize(
    "user",
    [{"client-certificate-data": "no base64!", "client-key-data": "x"}, {"tokenFile": "/absent"}],
)
def test_credentials_that_cannot_be_read_are_told_without_showing_them(access, user):
    broken = access("https://api.invalid")
    document = json.loads(broken.kubeconfig.read_text())
    document["users"][0]["user"] = user
    broken.kubeconfig.write_text(json.dumps(document))
    found = refused(broken)
    assert type(found) is Unprepared and "no base64!" not in str(found)


def test_a_connection_is_had_or_not():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        assert connectivity.tcp_error("127.0.0.1", port) == ""
    assert "refused" in connectivity.tcp_error("127.0.0.1", port)
