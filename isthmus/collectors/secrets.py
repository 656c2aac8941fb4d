"""Secrets as facts: the mesh's CA, and what each remote secret says and may do."""

import base64
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import yaml
from urllib3.exceptions import HTTPError

from isthmus import state
from isthmus.adapters.api_server import ApiServer
from isthmus.adapters.diff import Manifest
from isthmus.adapters.kube import Kube
from isthmus.adapters.kube_client import private_folder
from isthmus.collectors import questions
from isthmus.diagnosis.certificate_facts import ca_facts, facts_of_pem, token_facts
from isthmus.diagnosis.fields import seconds
from isthmus.diagnosis.snapshot import CaFacts, Object, RemoteSecretFacts, TokenLogin
from isthmus.environment.namespaces import ISTIO_NAMESPACE
from isthmus.errors import IsthmusError
from isthmus.step_results import Access

MULTI_CLUSTER_LABEL = "istio/multiCluster"
CLUSTER_ANNOTATION = "networking.istio.io/cluster"
USERS = {
    "token": "token",
    "tokenFile": "token",
    "exec": "exec",
    "auth-provider": "auth-provider",
    "client-certificate-data": "client-certificate",
    "client-certificate": "client-certificate",
    "username": "basic",
}
"""Fields of a kubeconfig's user, and what one calls such a user."""
LOGIN_FIELDS = (
    "server",
    "certificate-authority-data",
    "insecure-skip-tls-verify",
    "tls-server-name",
    "proxy-url",
)
ODD = (ValueError, TypeError, KeyError, AttributeError)
"""What reading a document of somebody else's raises if it is not what it should be."""
REVIEW = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
OLD_REVIEW = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
RULES = "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews"
NEEDED = (
    ("list", "", "endpoints"),
    ("list", "", "pods"),
    ("list", "", "services"),
    ("list", "", "namespaces"),
    ("list", "", "nodes"),
    ("list", "", "secrets"),
    ("list", "discovery.k8s.io", "endpointslices"),
    ("create", "authentication.k8s.io", "tokenreviews"),
    ("create", "authorization.k8s.io", "subjectaccessreviews"),
)
"""Of what istiod asks a remote, without which endpoints or identities are missing (istio
manifests/charts/istio-control/istio-discovery/templates/reader-clusterrole.yaml)."""


def cacerts(client: Kube) -> CaFacts | None:
    """Return what a cluster's Secret `cacerts` says, None if there is none."""
    secret = client.get("Secret", "cacerts", ISTIO_NAMESPACE)
    return ca_facts(_data(secret), _written(secret)) if secret else None


def remote_secrets(client: Kube) -> list[RemoteSecretFacts]:
    """Return every Secret of the cluster that is, or should be, a remote secret."""
    found = questions.in_parallel(lambda secret: list(_facts(secret)), client.objects("Secret"))
    return [facts for of_secret in found for facts in of_secret]


def is_candidate(secret: Manifest, key: str, text: str) -> bool:
    """Tell whether an entry of a Secret is meant as a remote secret of Istio's.

    Others keep kubeconfigs, too: only one with the label, the annotation or the usual name is.
    """
    meta = secret["metadata"]
    named = meta["name"].startswith("istio-remote-secret")
    marked = MULTI_CLUSTER_LABEL in (meta.get("labels") or {})
    marked = marked or CLUSTER_ANNOTATION in (meta.get("annotations") or {})
    return (named or marked) and bool(key and text.strip())


def _facts(secret: Manifest) -> Iterator[RemoteSecretFacts]:
    for key, value in _data(secret).items():
        text = value.decode(errors="replace")
        if not is_candidate(secret, key, text):
            continue
        meta = secret["metadata"]
        known = {
            "name": meta["name"],
            "namespace": meta["namespace"],
            "labelled": (meta.get("labels") or {}).get(MULTI_CLUSTER_LABEL) == "true",
            "annotation": (meta.get("annotations") or {}).get(CLUSTER_ANNOTATION, ""),
            "key": key,
            "created_at": seconds(meta.get("creationTimestamp")),
            "written_at": _written(secret),
        }
        try:
            yield RemoteSecretFacts(**known, **_kubeconfig(key, text))
        except (
            yaml.YAMLError,
            KeyError,
            TypeError,
            ValueError,
            AttributeError,
            StopIteration,
        ) as e:
            yield RemoteSecretFacts(**known, error=f"{type(e).__name__}: no kubeconfig")


def _kubeconfig(key: str, text: str) -> dict[str, Any]:
    document = yaml.safe_load(text)
    context = _named(document["contexts"], document.get("current-context", ""))["context"]
    cluster = _named(document["clusters"], context["cluster"])["cluster"]
    user = _named(document["users"], context["user"])["user"] or {}
    kind = next((kind for field, kind in USERS.items() if user.get(field)), "none")
    authority = base64.b64decode(cluster.get("certificate-authority-data") or b"")
    token = user.get("token")
    return {
        "server": str(cluster.get("server", "")),
        "proxy_url": _without_user(str(cluster.get("proxy-url") or "")),
        "tls_server_name": str(cluster.get("tls-server-name") or ""),
        "authority": facts_of_pem(authority),
        "user_kind": kind,
        "token": token_facts(token) if token else None,
        "login": _login(key, cluster, str(token)) if token else TokenLogin(),
    }


def _login(name: str, cluster: Object, token: str) -> TokenLogin:
    """Return what the API server says to the kubeconfig's own login, asked from here.

    Of what stands in the cluster only these fields are taken: a kubeconfig may name programs to
    start, and files to read.
    """
    known = {field: cluster[field] for field in LOGIN_FIELDS if cluster.get(field)}
    document = {
        "clusters": [{"name": name, "cluster": known}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
        "users": [{"name": name, "user": {"token": token}}],
        "current-context": name,
    }
    with private_folder() as folder:
        path = folder / "kubeconfig"
        try:
            state.write_private(path, json.dumps(document))
            return _asked(ApiServer(Access(cluster=name, kubeconfig=path, context=name)))
        except (HTTPError, OSError, IsthmusError, *ODD) as error:
            told = getattr(error, "message", "") or f"{type(error).__name__}: {error}"
            return TokenLogin(message=_short(told.replace(str(path), "the remote secret")))


def _asked(server: ApiServer) -> TokenLogin:
    review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    status, said = _post(server, REVIEW, review)
    if status == 404:  # before 1.28; who may ask for access is logged in
        status, said = _post(server, OLD_REVIEW, _access("get", "", "namespaces"))
    if status >= 400:
        return TokenLogin(asked=True, status=status, message=_short(str(said.get("message", ""))))
    user = said.get("status", {}).get("userInfo", {}).get("username", "")
    denied = [
        f"{verb} {resource}{'.' if group else ''}{group}"
        for verb, group, resource in NEEDED
        if _denied(server, verb, group, resource)
    ]
    return TokenLogin(asked=True, status=status, user=user, denied=tuple(denied), uid=_uid(server))


def _denied(server: ApiServer, verb: str, group: str, resource: str) -> bool:
    _, said = _post(server, OLD_REVIEW, _access(verb, group, resource))
    return said.get("status", {}).get("allowed") is False


def _access(verb: str, group: str, resource: str) -> Object:
    asked = {"verb": verb, "group": group, "resource": resource}
    return {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": asked},
    }


def _uid(server: ApiServer) -> str:
    status, _, body = server.raw("GET", "/api/v1/namespaces/kube-system", {}, b"")
    return str(json.loads(body)["metadata"]["uid"]) if status == 200 else ""


def _post(server: ApiServer, path: str, body: Object) -> tuple[int, Object]:
    headers = {"Content-Type": "application/json", "Accept": "application/json"}
    status, _, data = server.raw("POST", path, headers, json.dumps(body).encode())
    try:
        found = json.loads(data)
    except ValueError:
        found = {"message": data.decode(errors="replace")}
    return status, found if isinstance(found, dict) else {}


def _named(entries: Any, name: str) -> Object:
    found: Object = next(e for e in entries if e.get("name") == name)
    return found


def _without_user(url: str) -> str:
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl() if url else ""


def _short(text: str) -> str:
    return " ".join(text.split())[:300]


def _data(secret: Manifest) -> dict[str, bytes]:
    return {k: base64.b64decode(v or "") for k, v in (secret.get("data") or {}).items()}


def _written(secret: Manifest) -> float | None:
    meta = secret["metadata"]
    times = [seconds(m.get("time")) for m in meta.get("managedFields") or []]
    told = [time for time in [*times, seconds(meta.get("creationTimestamp"))] if time]
    return max(told, default=None)
