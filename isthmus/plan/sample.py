"""The sample by hand: its Service and a caller in every cluster, helloworld v1 and v2."""

from isthmus.environment import Environment
from isthmus.environment.namespaces import SAMPLE_NAMESPACE
from isthmus.istio_manifests import ResolvedEnvironment
from isthmus.plan.federation import propagated
from isthmus.plan.manual_step import ManualStep, apply_step, rollout_status

DEPLOY = "helloworld-deploy"
"""The file's name in the guide."""


def entries(environment: Environment, mesh: ResolvedEnvironment) -> list[ManualStep]:
    """Return what puts the sample everywhere."""
    made = [e for c in environment.clusters for e in _callers(mesh, c.name)]
    ready = {
        c.name: rollout_status(c.name, SAMPLE_NAMESPACE, "helloworld") for c in environment.clusters
    }
    if environment.federation == "direct":
        versions = {name: mesh.helloworld(mesh.sample_version(name)) for name in ready}
        return made + [
            apply_step(name, "helloworld", (versions[name],), wait, file=DEPLOY)
            for name, wait in ready.items()
        ]
    hello = mesh.federated_helloworld()
    waits = (propagated(mesh.host, hello), *ready.values())
    return [*made, apply_step(mesh.host, "federated helloworld", (hello,), *waits, file=DEPLOY)]


def _callers(mesh: ResolvedEnvironment, cluster: str) -> list[ManualStep]:
    objects = mesh.callers(cluster)
    service = [m for m in objects if m["kind"] == "Service"]
    rest = [m for m in objects if m["kind"] != "Service"]
    return [
        apply_step(cluster, "service of helloworld", service, file="helloworld-svc"),
        apply_step(
            cluster,
            "caller",
            rest,
            rollout_status(cluster, SAMPLE_NAMESPACE, "sleep"),
            file="sleep",
        ),
    ]
