"""Helm: a chart's release in a cluster, written only when chart or values changed."""

import base64
import gzip
import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import yaml

from isthmus import polling
from isthmus.adapters import api_proxy, helm_post_renderer, kube, shell, subprocess_env
from isthmus.adapters.diff import Manifest
from isthmus.adapters.kube import Kube
from isthmus.errors import NotReady, Rejected
from isthmus.step_results import Access

LABEL = "isthmus-values"
"""Label of a release (helm >= 3.13, `--labels`) with the hash of its chart and values."""

CONCURRENT_ERRORS = (
    "release: already exists",
    "another operation (install/upgrade/rollback) is in progress",
)
"""What Helm says if another one, which may have outlived its killed run, came first."""


def upgrade(name: str, namespace: str, chart: str) -> list[str]:
    """Return Helm's arguments that make a release stand, whatever there is; values on stdin."""
    release = ["upgrade", "--install", name, chart, f"--namespace={namespace}"]
    return [*release, "--no-hooks", "--values=-"]


def is_installed(client: Kube, name: str, namespace: str, chart: Path, values: Any) -> bool:
    """Tell whether the release stands as this chart and these values would make it."""
    wanted = f"owner=helm,name={name},status=deployed,{LABEL}={_hash(chart, values)}"
    return bool(client.objects("Secret", namespace, labels=wanted))


def get_manifest(client: Kube, name: str, namespace: str, chart: Path) -> list[Manifest]:
    """Return what the deployed release consists of, its charts' custom kinds first.

    Helm looks at its record alone: whatever of it was deleted since, `upgrade` finds unchanged.
    A count of replicas that is 0 is left out: that is a start to be made later, and not a state.
    Source: the record is JSON, gzip and base64 (helm pkg/storage/driver/util.go) in a Secret.
    """
    labels = f"owner=helm,name={name},status=deployed"
    found: list[Manifest] = []
    for record in client.objects("Secret", namespace, labels=labels):
        packed = base64.b64decode(base64.b64decode(record["data"]["release"]))
        text = json.loads(gzip.decompress(packed))["manifest"]
        kinds = "\n---\n".join(path.read_text() for path in sorted(chart.rglob("crds/*.yaml")))
        found = [m for part in (kinds, text) for m in yaml.safe_load_all(part) if m]
    return [_placed(client, manifest, namespace) for manifest in found]


def _placed(client: Kube, manifest: Manifest, namespace: str) -> Manifest:
    """Return the manifest with the namespace that Helm puts it into, if it says none."""
    meta, spec = manifest["metadata"], manifest.get("spec", {})
    if manifest["kind"] == "Deployment" and not spec.get("replicas", 1):
        manifest = {**manifest, "spec": {k: v for k, v in spec.items() if k != "replicas"}}
    if meta.get("namespace") or not client.kinds.is_namespaced(manifest):
        return manifest
    return {**manifest, "metadata": {**meta, "namespace": namespace}}


def prepare(client: Kube, name: str, namespace: str, chart: Path) -> None:
    """Leave nothing that stands in the way of an install or upgrade.

    That is the record of an operation that died half-way, for whose end Helm would wait for ever,
    and the release's own webhooks: an upgrade gives their server a new certificate some moments
    before it gives them the new CA, and every object in between would be refused.
    """
    for part in get_manifest(client, name, namespace, chart):
        if part["kind"].endswith("WebhookConfiguration"):
            client.delete(part)
    for release in client.objects("Secret", namespace, labels=f"owner=helm,name={name}"):
        if release["metadata"]["labels"].get("status", "").startswith("pending-"):
            client.delete(release)


def install(
    program: Path, access: Access, name: str, namespace: str, chart: Path, values: Any
) -> None:
    """Make the release stand; hooks are left out and nothing is waited for.

    Raises NotReady if the Helm of a run that was killed is still at it, ClusterUnreachable if what
    the API server answered may pass.
    """
    flags = [f"--labels={LABEL}={_hash(chart, values)}", f"--post-renderer={sys.executable}"]
    flags += [f"--post-renderer-args={part}" for part in ("-P", "-m", helm_post_renderer.__name__)]
    words = [*upgrade(name, namespace, str(chart)), *flags]
    try:
        _run(program, access, words, f"install {name}", stdin=json.dumps(values))
    except Rejected as error:
        if not any(sign in error.message for sign in CONCURRENT_ERRORS):
            raise
        text = f"another Helm operation is in progress on release {name}"
        raise NotReady(text, cluster=access.cluster) from error


def uninstall(program: Path, access: Access, name: str, namespace: str) -> None:
    """Leave no release of that name."""
    words = ["uninstall", name, f"--namespace={namespace}", "--no-hooks", "--ignore-not-found"]
    _run(program, access, words, f"uninstall {name}")


def _run(program: Path, access: Access, words: list[str], step: str, stdin: str = "") -> None:
    """Run Helm; each of its requests is repeated where it would give up."""
    with api_proxy.run_proxy({access.cluster: kube.connect(access)}) as kubeconfig:
        where = [f"--kubeconfig={kubeconfig}", f"--kube-context={access.cluster}"]
        env = subprocess_env.for_helm()
        command = [program, *words, *where]
        cluster = access.cluster
        limit = polling.timeouts().helm
        shell.run_on_cluster(
            command, stdin=stdin, env=env, timeout=limit, cluster=cluster, step=step
        )


def _hash(chart: Path, values: Any) -> str:
    version = (chart / "Chart.yaml").read_text()
    seed = f"{version}{json.dumps(values, sort_keys=True)}"
    return hashlib.sha256(seed.encode()).hexdigest()[:16]
