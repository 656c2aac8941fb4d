"""Wiring: the host may read a remote, and so the remote gets its trust and its injector."""

import json
from typing import Any

from isthmus import events, polling
from isthmus.adapters import cross_cluster_access, kube, readiness
from isthmus.environment import Environment
from isthmus.environment.namespaces import ISTIO_NAMESPACE, REMOTE_SECRET_PREFIX
from isthmus.istio_manifests import INJECTOR, READER_SERVICE_ACCOUNT
from isthmus.render import render
from isthmus.step_results import Access, Done, changed
from tasks.policies import step

ROOT_CERT_CONFIG_MAP = "istio-ca-root-cert"
"""What istiod writes into every namespace of a cluster that it serves."""


@step("create remote secret", of="remote")
def create_remote_secret(
    environment: Environment, host: Access, remote: Access, installed: Done
) -> Done:
    """Give the host the remote's reader, and see the host act on it. The token stays in here."""
    known = _has_root_cert(remote) or _has_remote_secret(host, remote)
    token = render("wiring/token.yaml.j2", account=READER_SERVICE_ACCOUNT)
    made = kube.connect(remote).apply(token, environment.name)
    renewed = bool(made)
    manifest = render(
        "wiring/remote-secret.yaml.j2", cluster=remote.cluster, kubeconfig=_kubeconfig(remote)
    )
    made += kube.connect(host).apply(manifest, environment.name)
    if known and renewed:
        _restart_istiod(host)
    _await_istiod(remote)
    return changed(remote.cluster, made)


def _has_root_cert(remote: Access) -> bool:
    """Tell whether an istiod of the host has written its trust here before."""
    return bool(kube.connect(remote).get("ConfigMap", ROOT_CERT_CONFIG_MAP, ISTIO_NAMESPACE))


def _has_remote_secret(host: Access, remote: Access) -> bool:
    """Tell whether the host has a reader of the remote: of one whose namespace was deleted, too."""
    return bool(
        kube.connect(host).get("Secret", f"{REMOTE_SECRET_PREFIX}{remote.cluster}", ISTIO_NAMESPACE)
    )


def _restart_istiod(host: Access) -> None:
    """Have the host's istiod begin anew: one whose token for a remote was revoked is stuck.

    It cannot end its leader election there, and until then hears of no other remote either (seen
    with Istio 1.31: "error retrieving resource lock: Unauthorized", "remote clusters []").
    """
    client = kube.connect(host)
    events.report_progress("a remote's token was recreated: restarting istiod to pick it up")
    for pod in client.objects("Pod", ISTIO_NAMESPACE, labels="app=istiod"):
        client.delete({"apiVersion": "v1", "kind": "Pod", **pod})
    readiness.await_deployment(client, "istiod", ISTIO_NAMESPACE)


def _kubeconfig(remote: Access) -> str:
    """Return the kubeconfig that istiod is to use."""
    secret, client = f"{READER_SERVICE_ACCOUNT}-isthmus", kube.connect(remote)
    found = cross_cluster_access.await_token(
        client, secret, ISTIO_NAMESPACE, READER_SERVICE_ACCOUNT
    )
    document = cross_cluster_access.kubeconfig(remote, found["token"], found["ca.crt"])
    return json.dumps(document)


def _await_istiod(remote: Access) -> None:
    """Wait until istiod has put its trust and its injector's CA into the remote."""
    client = kube.connect(remote)
    polling.until(
        lambda: True if _has_root_cert(remote) else None,
        "istiod to write istio-ca-root-cert (does it reach this API server?)",
        timeout=polling.timeouts().control_plane,
        cluster=remote.cluster,
    )
    polling.until(
        lambda: True if _has_ca_bundle(client.get(*_WEBHOOKS)) else None,
        f"istiod to set the caBundle of MutatingWebhookConfiguration {INJECTOR}",
        timeout=polling.timeouts().control_plane,
        cluster=remote.cluster,
    )


_WEBHOOKS = ("MutatingWebhookConfiguration", INJECTOR, "", "admissionregistration.k8s.io/v1")


def _has_ca_bundle(configuration: Any) -> bool:
    webhooks = (configuration or {}).get("webhooks", [])
    return bool(webhooks) and all(w["clientConfig"].get("caBundle") for w in webhooks)
