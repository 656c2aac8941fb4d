"""How a cluster is reached by the others, whose pods log in with a token of its ServiceAccounts."""

import base64
import json
from typing import Any

from urllib3.exceptions import HTTPError

from isthmus import polling, state
from isthmus.adapters import kubeconfigs
from isthmus.adapters.api_server import RETRY_INTERVAL, ApiServer
from isthmus.adapters.kube import Kube
from isthmus.adapters.kube_client import private_folder
from isthmus.errors import ClusterUnreachable, NotReady
from isthmus.step_results import Access

REVIEW = {
    "apiVersion": "authorization.k8s.io/v1",
    "kind": "SelfSubjectAccessReview",
    "spec": {"nonResourceAttributes": {"path": "/version", "verb": "get"}},
}
"""What everybody who is logged in may ask, and nobody else."""
ANONYMOUS = "system:anonymous"


def await_token(client: Kube, secret: str, namespace: str, account: str) -> dict[str, str]:
    """Return `token` and `ca.crt` of a ServiceAccount's Secret, once the token controller put them.

    Raises NotReady if it does not within the limit `control_plane`.
    """

    def filled() -> dict[str, str] | None:
        data = (client.get("Secret", secret, namespace) or {}).get("data") or {}
        return data if "token" in data else None

    found = polling.until(
        filled,
        f"the token of ServiceAccount {namespace}/{account}",
        timeout=polling.timeouts().control_plane,
        interval=0.05,
        cluster=client.access.cluster,
    )
    return {key: base64.b64decode(value).decode() for key, value in found.items()}


def ca_bundle(access: Access, own: str) -> str:
    """Return the CAs (PEM) by which pods know the API server at its URL.

    `own` is the cluster's own CA, as its ServiceAccounts get it. A load balancer or proxy in front
    may have its certificate of another one, and that the kubeconfig tells.
    """
    told = base64.b64decode(kubeconfigs.server(access)[1]).decode(errors="replace").strip()
    if not told or told in own:
        return own
    return told if own.strip() in told else f"{told}\n{own}"


def kubeconfig(access: Access, token: str, own: str) -> dict[str, Any]:
    """Return the kubeconfig by which another cluster's istiod reaches this one with a token.

    It has the form that istioctl create-remote-secret gives it; `own` as for `ca_bundle`.
    """
    url, _ = kubeconfigs.server(access)
    authority = base64.b64encode(ca_bundle(access, own).encode()).decode()
    cluster = {"server": url, "certificate-authority-data": authority}
    if name := kubeconfigs.server_name(access):
        cluster["tls-server-name"] = name
    return _document(access.cluster, cluster, token)


def _document(name: str, cluster: dict[str, Any], token: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": cluster}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
        "current-context": name,
        "users": [{"name": name, "user": {"token": token}}],
    }


def token_login_error(access: Access, token: str, own: str) -> str:
    """Return what is said to a ServiceAccount's token at the URL that others use, if it is refused.

    It is nothing if the token is taken, or if this machine gets no answer there: whether pods get
    one is another question.
    """
    document = kubeconfig(access, token, own)
    if proxy := kubeconfigs.proxy(access):
        document["clusters"][0]["cluster"]["proxy-url"] = proxy
    with private_folder() as folder:
        path = folder / "kubeconfig"
        state.write_private(path, json.dumps(document))
        return _refused(
            ApiServer(Access(cluster=access.cluster, kubeconfig=path, context=access.cluster))
        )


def _refused(server: ApiServer) -> str:
    said = ""

    def taken() -> bool | None:
        nonlocal said
        said = _said(server)
        return None if said else True

    try:
        # One of several API servers may hear of a new token later.
        polling.until(taken, "a login", timeout=polling.timeouts().retry, interval=RETRY_INTERVAL)
    except (NotReady, ClusterUnreachable):
        return said
    return ""


def _said(server: ApiServer) -> str:
    """Return an answer that refuses the login; nothing for every other one."""
    path = f"/apis/{REVIEW['apiVersion']}/selfsubjectaccessreviews"
    headers = {"Content-Type": "application/json", "Accept": "application/json"}
    try:
        status, _, body = server.raw("POST", path, headers, json.dumps(REVIEW).encode())
    except (HTTPError, OSError):
        return ""
    text = body.decode(errors="replace")
    if status == 401 or (status == 403 and ANONYMOUS in text):
        return f"HTTP {status}: {_message(text)}"
    return ""


def _message(text: str) -> str:
    try:
        return str(json.loads(text)["message"])[:200]
    except (ValueError, KeyError, TypeError):
        return " ".join(text.split())[:200] or "no reason given"
