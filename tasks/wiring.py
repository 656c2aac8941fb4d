"""Wiring: the host may read a remote, and so the remote gets its trust and its injector."""

import base64
import json
from typing import Any

from isthmus import waiting
from isthmus.adapters import kube, kubeconfigs
from isthmus.facts import Access, Done, changed
from isthmus.federation import SYSTEM
from isthmus.mesh import INJECTOR, READER
from isthmus.render import render
from tasks.policies import step

TOKEN = 30.0
"""Seconds for the token controller to fill a Secret in."""


@step("wire", of="remote")
def wire_secret(host: Access, remote: Access, installed: Done) -> Done:
    """Give the host the remote's reader, and see the host act on it. The token stays in here."""
    made = kube.connect(remote).apply(render("wiring/token.yaml.j2", account=READER))
    manifest = render(
        "wiring/remote-secret.yaml.j2", cluster=remote.cluster, kubeconfig=_kubeconfig(remote)
    )
    made += kube.connect(host).apply(manifest)
    _await_service(remote)
    return changed(remote.cluster, made)


def _kubeconfig(remote: Access) -> str:
    """Return the kubeconfig that istiod is to use, in the form that istioctl gives it."""
    secret = _filled_token(remote)
    server, _ = kubeconfigs.server(remote)
    name, authority = remote.cluster, secret["ca.crt"]
    token = base64.b64decode(secret["token"]).decode()
    cluster = {"server": server, "certificate-authority-data": authority}
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": cluster}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
        "current-context": name,
        "users": [{"name": name, "user": {"token": token}}],
    }
    return json.dumps(document)


def _filled_token(remote: Access) -> dict[str, str]:
    client = kube.connect(remote)

    def filled() -> dict[str, str] | None:
        data = (client.get("Secret", f"{READER}-isthmus", SYSTEM) or {}).get("data") or {}
        return data if "token" in data else None

    what = f"token of ServiceAccount {SYSTEM}/{READER}"
    return waiting.until(filled, what, timeout=TOKEN, interval=0.05, cluster=remote.cluster)


def _await_service(remote: Access) -> None:
    """Wait until istiod has put its trust and its injector's CA into the remote."""
    client = kube.connect(remote)
    waiting.until(
        lambda: True if client.get("ConfigMap", "istio-ca-root-cert", SYSTEM) else None,
        "istiod to write istio-ca-root-cert (does it reach this API server?)",
        timeout=waiting.limits().control_plane,
        cluster=remote.cluster,
    )
    waiting.until(
        lambda: True if _is_certified(client.get(*_WEBHOOKS)) else None,
        f"istiod to certify the injector {INJECTOR}",
        timeout=waiting.limits().control_plane,
        cluster=remote.cluster,
    )


_WEBHOOKS = ("MutatingWebhookConfiguration", INJECTOR, "", "admissionregistration.k8s.io/v1")


def _is_certified(configuration: Any) -> bool:
    webhooks = (configuration or {}).get("webhooks", [])
    return bool(webhooks) and all(w["clientConfig"].get("caBundle") for w in webhooks)
