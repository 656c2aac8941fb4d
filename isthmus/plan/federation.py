"""The federation by hand: KubeFed, its members, the namespaces and the trust of every cluster."""

import json
import shlex

from isthmus import binaries, kubefed_manifests, polling
from isthmus.adapters import helm, kubefed, kubefedctl
from isthmus.adapters.diff import Manifest
from isthmus.environment import ClusterSpec, Environment
from isthmus.environment.namespaces import ISTIO_NAMESPACE, KUBEFED_NAMESPACE, SAMPLE_NAMESPACE
from isthmus.istio_manifests import ResolvedEnvironment
from isthmus.kubefed_manifests import CACERTS
from isthmus.plan.manual_step import (
    FILE,
    MASK,
    ManualStep,
    apply,
    apply_step,
    kubectl,
    label_command,
    rollout_status,
    secret_step,
)
from isthmus.providers.kce import console_federation

KEYS = {
    "ca-cert.pem": "{cluster}/ca-cert.pem",
    "ca-key.pem": "{cluster}/ca-key.pem",
    "root-cert.pem": "root-cert.pem",
    "cert-chain.pem": "{cluster}/cert-chain.pem",
}
"""Key of `cacerts` -> file below the folder `ca`."""
NAMESPACE_ARGS = ("-n", KUBEFED_NAMESPACE)


def entries(environment: Environment, mesh: ResolvedEnvironment) -> list[ManualStep]:
    """Return what joins all clusters, and gives each istio-system, its `cacerts` and `sample`."""
    host = environment.host.name
    if environment.federation == "direct":
        return _direct_steps(environment)
    if environment.has_console_federation:
        return [
            *_prepared(environment, [environment.host]),
            _cloud_federation(environment),
            *_federated(environment),
        ]
    return [
        *_prepared(environment, [environment.host]),
        *_kubefed(host, mesh),
        *(_join(host, member) for member in environment.clusters),
        *_federated(environment),
    ]


def _direct_steps(environment: Environment) -> list[ManualStep]:
    return [
        *_prepared(environment, [environment.host]),
        *_prepared(environment, environment.remotes),
        *(_sample(environment, c.name) for c in environment.clusters),
    ]


def _prepared(environment: Environment, clusters: list[ClusterSpec]) -> list[ManualStep]:
    return [made(environment, c.name) for made in (_system, _cacerts) for c in clusters]


def _system(environment: Environment, cluster: str) -> ManualStep:
    space = kubefed_manifests.istio_namespace_spec(environment).namespace(cluster)
    return apply_step(cluster, f"namespace {ISTIO_NAMESPACE}", (space,))


def _cacerts(environment: Environment, cluster: str) -> ManualStep:
    files = [f"--from-file={key}=ca/{file.format(cluster=cluster)}" for key, file in KEYS.items()]
    create = ("create", "secret", "generic", CACERTS, *files, "--dry-run=client", "-o", "yaml")
    made = [
        kubectl(cluster, "-n", ISTIO_NAMESPACE, *create),
        label_command(environment.name),
        apply(cluster, "-"),
    ]
    masked = kubefed_manifests.cacerts_secret(dict.fromkeys(KEYS, MASK))
    return secret_step(cluster, CACERTS, masked, " | ".join(made))


def _kubefed(host: str, mesh: ResolvedEnvironment) -> list[ManualStep]:
    space = kubefed_manifests.kubefed_namespace_spec(mesh.environment).namespace(host)
    upgrade = helm.upgrade(kubefed.RELEASE, KUBEFED_NAMESPACE, binaries.CHART)
    install = shlex.join(["helm", *upgrade, f"--kube-context={host}"])
    scale = ("scale", f"deployment/{kubefed.CONTROLLERS}", "--replicas=1")
    running = "--for=jsonpath={.status.propagationController}=Running"
    types = ("wait", running, "federatedtypeconfigs", "--all", _limit())
    return [
        apply_step(host, "namespace of kubefed", (space,)),
        ManualStep(
            host,
            "kubefed",
            stdin=mesh.kubefed_values(),
            commands=(
                f"{install} < {FILE}",
                rollout_status(host, KUBEFED_NAMESPACE, kubefed.WEBHOOK),
            ),
        ),
        ManualStep(
            host,
            "controllers of kubefed, once its webhook is ready",
            commands=(
                kubectl(host, *NAMESPACE_ARGS, *scale),
                rollout_status(host, KUBEFED_NAMESPACE, kubefed.CONTROLLERS),
                kubectl(host, *NAMESPACE_ARGS, *types),
            ),
        ),
    ]


def _cloud_federation(environment: Environment) -> ManualStep:
    host = environment.host.name
    shows = "# its kubeconfig, keys in it; put the clusters' identities in the place of id-of-..."
    read = kubectl(
        host,
        "-n",
        console_federation.CONFIGMAP_NAMESPACE,
        "get",
        "configmap",
        console_federation.NAME,
        "-o",
        "yaml",
    )
    members = [
        _ready(host, f"kubefedclusters.core.kubefed.io/{cluster.member_name}")
        for cluster in environment.clusters
    ]
    return ManualStep(host, "federation of the console", commands=(shows, read, *members))


def _ready(host: str, cluster: str) -> str:
    ready = ("wait", "--for=condition=Ready", cluster, _limit())
    return kubectl(host, *NAMESPACE_ARGS, *ready)


def _join(host: str, member: ClusterSpec) -> ManualStep:
    name = member.member_name
    join = shlex.join(["kubefedctl", *kubefedctl.arguments("join", name, host, member.name)])
    cluster = f"kubefedclusters.core.kubefed.io/{name}"
    url = json.dumps({"spec": {"apiEndpoint": member.server or "https://..."}})
    patch = kubectl(host, *NAMESPACE_ARGS, "patch", cluster, "--type=merge", f"--patch={url}")
    elsewhere = f"# only if pods reach {member.name} at another URL than you do:"
    return ManualStep(
        host,
        f"join {member.name}",
        commands=(
            join,
            *([patch] if member.server else [elsewhere, f"# {patch}"]),
            _ready(host, cluster),
        ),
    )


def _federated(environment: Environment) -> list[ManualStep]:
    host, name = environment.host.name, environment.name
    masked = {c.member_name: dict.fromkeys(KEYS, MASK) for c in environment.clusters}
    secret = kubefed_manifests.federated_cacerts_secret(name, masked)
    system = kubefed_manifests.istio_namespace_spec(environment).federated_namespace(name)
    sample = kubefed_manifests.sample_namespace_spec(environment).federated_namespace(name)
    by_hand = f"# put `base64 -w0 ca/...` of each cluster's files in the place of {MASK} first"
    filled = apply_step(host, f"federate secret {CACERTS}", (secret,), propagated(host, secret))
    return [
        apply_step(
            host, f"federate namespace {ISTIO_NAMESPACE}", (system,), propagated(host, system)
        ),
        ManualStep(host, filled.title, filled.objects, commands=(by_hand, *filled.commands)),
        _sample(environment, host),
        apply_step(
            host, f"federate namespace {SAMPLE_NAMESPACE}", (sample,), propagated(host, sample)
        ),
    ]


def _sample(environment: Environment, cluster: str) -> ManualStep:
    space = kubefed_manifests.sample_namespace_spec(environment).namespace(cluster)
    return apply_step(cluster, f"namespace {SAMPLE_NAMESPACE}", (space,))


def _limit() -> str:
    return f"--timeout={polling.timeouts().federation}s"


def propagated(host: str, manifest: Manifest) -> str:
    """Return the command that waits until KubeFed has carried an object to every cluster."""
    meta = manifest["metadata"]
    what = f"{manifest['kind'].lower()}s.types.kubefed.io/{meta['name']}"
    wait = ("wait", "--for=condition=Propagation", what, _limit())
    return kubectl(host, "-n", meta["namespace"], *wait)
