"""Kubeconfigs of accounts that are no administrators, and of servers that are elsewhere."""

import base64
import datetime
import json
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import NameOID
from live.bare import client

from isthmus import polling
from isthmus.certificates import key_pem, new_key, pem

NAME = "isthmus-builder"
PAGE = Path(__file__).parents[2] / "docs/kubeconfig.md"
RBAC = "rbac.authorization.k8s.io/v1"


def listed_role() -> dict:
    """Return the ClusterRole that the page tells people to apply."""
    blocks = re.findall(r"^```yaml\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    [role] = [d for d in map(yaml.safe_load, blocks) if d.get("kind") == "ClusterRole"]
    return role


@contextmanager
def account(name: str, kubeconfig: Path, role: dict, folder: Path) -> Iterator[Path]:
    """Make an account with a role in a cluster; give the kubeconfig with its token."""
    cluster = client(name, kubeconfig)
    of = {"namespace": "kube-system", "name": NAME}
    binding = {
        "roleRef": {"apiGroup": RBAC.partition("/")[0], "kind": "ClusterRole", "name": NAME},
        "subjects": [{"kind": "ServiceAccount", **of}],
    }
    token = {"annotations": {"kubernetes.io/service-account.name": NAME}}
    objects = [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": of},
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "type": "kubernetes.io/service-account-token",
            "metadata": {**of, **token},
        },
        {**role, "metadata": {"name": NAME}},
        {
            "apiVersion": RBAC,
            "kind": "ClusterRoleBinding",
            "metadata": {"name": NAME},
            **binding,
        },
    ]
    cluster.apply(objects, owner="")
    secret = polling.until(
        lambda: (cluster.get("Secret", NAME, "kube-system") or {}).get("data", {}).get("token"),
        "a token",
        timeout=30,
    )
    try:
        user = {"token": base64.b64decode(secret).decode()}
        yield changed(kubeconfig, folder / f"{name}-{NAME}", user=user)
    finally:
        for manifest in reversed(objects):
            cluster.delete(manifest)


def changed(kubeconfig: Path, path: Path, *, user: dict | None = None, **cluster: str) -> Path:
    """Write a copy with another user, or other fields of its cluster."""
    document = json.loads(kubeconfig.read_text())
    if user:
        document["users"][0]["user"] = user
    document["clusters"][0]["cluster"] |= cluster
    path.write_text(json.dumps(document))
    path.chmod(0o600)
    return path


def server_of(kubeconfig: Path) -> str:
    return json.loads(kubeconfig.read_text())["clusters"][0]["cluster"]["server"]


def expired(kubeconfig: Path) -> dict[str, str]:
    """Return an administrator's certificate, signed by the cluster's CA, that ended yesterday."""
    pki = kubeconfig.parent / "pki"
    signer = serialization.load_pem_private_key((pki / "ca.key").read_bytes(), None)
    ca = x509.load_pem_x509_certificate((pki / "ca.crt").read_bytes())
    key, now = new_key(), datetime.datetime.now(datetime.UTC)
    names = ((NameOID.ORGANIZATION_NAME, "system:masters"), (NameOID.COMMON_NAME, "someone"))
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(*name) for name in names]))
        .issuer_name(ca.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=2))
        .not_valid_after(now - datetime.timedelta(days=1))
        .sign(signer, hashes.SHA256())
    )
    parts = {"client-certificate-data": pem(certificate), "client-key-data": key_pem(key)}
    return {k: base64.b64encode(text.encode()).decode() for k, text in parts.items()}


@contextmanager
def forwarded(server: str, at: str = "127.0.0.1") -> Iterator[str]:
    """Give a URL on this machine's loopback that leads to a server, as a tunnel has."""
    there = urlsplit(server)
    family = socket.AF_INET6 if ":" in at else socket.AF_INET
    with socket.create_server((at, 0), family=family) as listener:

        def serve() -> None:
            while True:
                try:
                    near, _ = listener.accept()
                except OSError:
                    return
                far = socket.create_connection((there.hostname, there.port or 443))
                for pair in ((near, far), (far, near)):
                    threading.Thread(target=_pump, args=pair, daemon=True).start()

        threading.Thread(target=serve, daemon=True).start()
        try:
            host = f"[{at}]" if ":" in at else at
            yield f"https://{host}:{listener.getsockname()[1]}"
        finally:
            listener.shutdown(socket.SHUT_RDWR)


def _pump(source: socket.socket, target: socket.socket) -> None:
    try:
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        return
