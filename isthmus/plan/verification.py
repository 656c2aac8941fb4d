"""The verification by hand: what each caller's sidecar believes, and who really answers."""

import shlex

from isthmus.environment import Environment
from isthmus.environment.namespaces import ISTIO_NAMESPACE, SAMPLE_NAMESPACE
from isthmus.istio_manifests import ResolvedEnvironment
from isthmus.plan.manual_step import ManualStep, kubectl
from isthmus.verification import answers, probe_script

TABLE = ("pilot-agent", "request", "GET", "/clusters?format=json")


def entries(environment: Environment, mesh: ResolvedEnvironment) -> list[ManualStep]:
    """Return what lets every region ask every other, and what looks through every gateway."""
    names = [c.name for c in environment.clusters]
    return [
        *(_table(name, mesh) for name in names),
        *(_calls(environment, name) for name in names),
        *(_view(name, mesh) for name in names),
    ]


def _table(cluster: str, mesh: ResolvedEnvironment) -> ManualStep:
    running = ("-l", "app=sleep", "--field-selector=status.phase=Running")
    name = ("-o", "jsonpath={.items[0].metadata.name}")
    caller = kubectl(cluster, "-n", SAMPLE_NAMESPACE, "get", "pod", *running, *name)
    words = (f"--context={cluster}", "-n", SAMPLE_NAMESPACE, "proxy-config", "endpoints")
    ask = shlex.join(["istioctl", *words])
    ports = f":5000, and every other cluster's gateway, :{mesh.stack.gateway.port}"
    return ManualStep(
        cluster,
        "endpoint table",
        commands=(
            f"# expect the cluster's own pods of helloworld, {ports}; nothing else",
            f'{ask} "$({caller})" --cluster {shlex.quote(answers.SIDECAR)}',
        ),
    )


def _calls(environment: Environment, cluster: str) -> ManualStep:
    wanted = environment.verification
    probe = probe_script(answers.WARM_UP + wanted.requests, answers.URL, wanted.timeout)
    into = ("exec", "deployment/sleep", "-c", "sleep", "--")
    return ManualStep(
        cluster,
        "requests",
        commands=(
            f"# expect an answer to each, and from every cluster as many as from the others; the "
            f"first {answers.WARM_UP} do not count",
            kubectl(cluster, "-n", SAMPLE_NAMESPACE, *into, *probe),
        ),
    )


def _view(cluster: str, mesh: ResolvedEnvironment) -> ManualStep:
    into = ("exec", f"deployment/{mesh.stack.gateway.name}", "-c", "istio-proxy", "--")
    ask = kubectl(cluster, "-n", ISTIO_NAMESPACE, *into, *TABLE)
    return ManualStep(
        cluster,
        "endpoint table of the gateway",
        commands=(
            f"# expect under {answers.GATEWAY_CLUSTER} the cluster's own pods alone",
            ask,
        ),
    )
