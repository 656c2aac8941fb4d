"""Tokens, certificates and remote secrets as nobody should have them."""

import base64
import datetime
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from live.faults import ISTIO, Step
from live.faults.objects import Object, change, get, run
from live.faults.regions import until

from isthmus import certificates, mesh_ca
from isthmus.errors import NotReady

READER = "istio-reader-service-account"
REMOTE = "secret/istio-remote-secret-"
DAY = 86400.0


def kubeconfig(mesh: Any, remote: str, how: Callable[[Object, Object], object]) -> None:
    """Change the kubeconfig in a remote secret by a function of its cluster and its user."""

    def changed(secret: Object) -> None:
        document = json.loads(base64.b64decode(secret["data"][remote]))
        how(document["clusters"][0]["cluster"], document["users"][0]["user"])
        secret["data"][remote] = encoded(json.dumps(document))

    change(mesh, "lisbon", REMOTE + remote, changed)


def signed_token(mesh: Any, cluster: str, issued: float, ends: float) -> str:
    """Return a token of the mesh's reader as a cluster's API server would have made it."""
    account = get(mesh, cluster, f"serviceaccount/{READER}")
    claims = {
        "aud": ["https://kubernetes.default.svc"],
        "iss": "https://kubernetes.default.svc",
        "sub": f"system:serviceaccount:{ISTIO}:{READER}",
        "iat": int(issued),
        "nbf": int(issued),
        "exp": int(ends),
        "kubernetes.io": {
            "namespace": ISTIO,
            "serviceaccount": {"name": READER, "uid": account["metadata"]["uid"]},
        },
    }
    path = mesh.folder / "regions" / cluster / "pki/sa.key"
    key = serialization.load_pem_private_key(path.read_bytes(), None)
    header = {"alg": "RS256" if isinstance(key, rsa.RSAPrivateKey) else "ES256"}
    text = f"{_url(json.dumps(header).encode())}.{_url(json.dumps(claims).encode())}"
    return f"{text}.{_url(_signature(key, text.encode()))}"


def _signature(key: object, text: bytes) -> bytes:
    if isinstance(key, rsa.RSAPrivateKey):
        return key.sign(text, padding.PKCS1v15(), hashes.SHA256())
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    pair = decode_dss_signature(key.sign(text, ec.ECDSA(hashes.SHA256())))
    return b"".join(number.to_bytes(32, "big") for number in pair)


def _url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def cacerts(
    mesh: Any, cluster: str, days: float = 3650, age: float = 1, same_root: bool = True
) -> dict[str, str]:
    """Return the data of a new Secret `cacerts`: a new intermediate, of the mesh's root or not.

    It is so many days old and has so many left.
    """
    with tempfile.TemporaryDirectory(prefix="faults-") as place:
        for name in ("root-cert.pem", "root-key.pem") if same_root else ():
            shutil.copy(mesh.folder / "ca" / name, place)
        backdate = datetime.timedelta(days=age)
        with mock.patch.multiple(certificates, VALIDITY_DAYS=days, NOT_BEFORE_BACKDATE=backdate):
            return _encoded(mesh_ca.cacerts(Path(place), cluster))


def of_a_new_root(clusters: Sequence[str]) -> dict[str, dict[str, str]]:
    """Return the data of new Secrets `cacerts`, by cluster, all of one new root."""
    with tempfile.TemporaryDirectory(prefix="faults-") as place:
        return {name: _encoded(mesh_ca.cacerts(Path(place), name)) for name in clusters}


def _encoded(files: dict[str, str]) -> dict[str, str]:
    return {name: encoded(pem) for name, pem in files.items()}


def is_of_remote_secret(step: Step) -> bool:
    """Tell whether a step has changed a remote secret."""
    item = step.get("object", {})
    return bool(item) and f"{item['kind']}/{item['metadata']['name']}".lower().startswith(REMOTE)


def ensure_heard(mesh: Any) -> None:
    """Have istiod read all remotes again; restart it if it is deaf, and say so.

    Seen with Istio 1.31: after a swap of a cluster's client its secret controller waits for ever in
    informerFactory.Shutdown, and no later change of a remote secret is taken up (F04).
    """
    names = {cluster.name for cluster in mesh.environment.clusters}

    def heard() -> bool:
        ask = ("exec", "deploy/istiod", "--", "pilot-discovery", "request", "GET")
        told = run(mesh, "lisbon", "-n", ISTIO, *ask, "/debug/clusterz")
        known = json.loads(told[told.find("[") :])
        return {c["id"] for c in known if c["syncStatus"] == "synced"} == names

    try:
        until(heard, "istiod to read every cluster", 30)
    except NotReady:
        print("istiod is deaf to changed remote secrets: it is restarted", file=sys.stderr)
        run(mesh, "lisbon", "-n", ISTIO, "rollout", "restart", "deployment/istiod")
        ready = ("rollout", "status", "deployment/istiod", "--timeout=90s")
        run(mesh, "lisbon", "-n", ISTIO, *ready)
        until(heard, "istiod to read every cluster", 60)


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def now() -> float:
    return time.time()
