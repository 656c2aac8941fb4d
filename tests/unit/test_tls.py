"""One handshake tells who answers: istiod by our root, or what came back instead."""

import datetime
import socket
import ssl
import threading
from types import SimpleNamespace

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509.oid import NameOID

from isthmus import certificates, mesh_ca
from isthmus.adapters import tls

NAME = "istiod.istio-system.svc"


@pytest.fixture
def ca(tmp_path):
    return tmp_path / "pair" / "ca"


@pytest.fixture
def istiod(ca, tmp_path):
    """A server that proves to be istiod, by a certificate as istiod issues itself one."""
    content = mesh_ca.cacerts(ca, "beijing")
    file = tmp_path / "istiod.pem"
    key = ec.generate_private_key(ec.SECP256R1())
    chain = content["ca-cert.pem"]
    file.write_text(certificates.key_pem(key) + certificates.pem(issued(key, content)) + chain)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    listener = socket.create_server(("127.0.0.1", 0))

    def serve():
        while True:
            try:
                plain, _ = listener.accept()
            except OSError:
                return
            try:
                context.wrap_socket(plain, server_side=True).close()
            except OSError:
                plain.close()

    threading.Thread(target=serve, daemon=True).start()
    yield SimpleNamespace(port=listener.getsockname()[1])
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()


def issued(key, content):
    signer = load_pem_private_key(content["ca-key.pem"].encode(), None)
    issuer = x509.load_pem_x509_certificate(content["ca-cert.pem"].encode())
    now = datetime.datetime.now(datetime.UTC)
    named = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "cluster.local")]))
        .issuer_name(issuer.subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(minutes=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(NAME)]), False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(named), False)
        .sign(signer, hashes.SHA256())
    )


@pytest.mark.parametrize("more", [0, ssl.VERIFY_X509_STRICT], ids=["usual", "strict"])
def test_istiod_proves_itself_by_our_root(istiod, ca, monkeypatch, more):
    usual = ssl.create_default_context

    def create(**options):
        context = usual(**options)
        context.verify_flags |= more
        return context

    monkeypatch.setattr(ssl, "create_default_context", create)
    assert tls.handshake("127.0.0.1", istiod.port, NAME, mesh_ca.ensure_root_certificate(ca)) == ""


def test_somebody_elses_istiod_is_not_ours(istiod, tmp_path):
    other = mesh_ca.ensure_root_certificate(tmp_path / "other" / "ca")
    said = tls.handshake("127.0.0.1", istiod.port, NAME, other)
    assert said.startswith(f"127.0.0.1:{istiod.port}: ") and "certificate" in said


def test_another_name_is_not_istiod(istiod, ca):
    said = tls.handshake(
        "127.0.0.1", istiod.port, "example.com", mesh_ca.ensure_root_certificate(ca)
    )
    assert "example.com" in said


def test_who_speaks_no_tls_is_told(ca):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

        def answer():
            plain, _ = listener.accept()
            with plain:
                plain.recv(1)
                plain.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        assert tls.handshake("127.0.0.1", port, NAME, mesh_ca.ensure_root_certificate(ca))
        thread.join()


def test_nobody_at_the_address_is_told(ca):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    said = tls.handshake("127.0.0.1", port, NAME, mesh_ca.ensure_root_certificate(ca))
    assert said.startswith(f"127.0.0.1:{port}: ") and "refused" in said
