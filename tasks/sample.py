"""The sample: helloworld v1 on the host, v2 on the remotes, and a caller everywhere."""

from dataclasses import replace

from isthmus.adapters import kube, readiness
from isthmus.environment.namespaces import ISTIO_NAMESPACE, SAMPLE_NAMESPACE
from isthmus.istio_manifests import ResolvedEnvironment
from isthmus.step_results import Access, Done, changed
from tasks.federation import propagate, with_member_names
from tasks.policies import step


@step("deploy caller", of="access")
def deploy_caller(
    mesh: ResolvedEnvironment, access: Access, namespace: Done, injector: object
) -> Done:
    """Make the sample's Service and a pod that calls it exist in the cluster."""
    client = kube.connect(access)
    made = client.apply(mesh.callers(access.cluster), mesh.environment.name)
    readiness.await_deployment(client, "sleep", SAMPLE_NAMESPACE)
    return changed(access.cluster, made)


@step("deploy sample")
def deploy_sample(
    mesh: ResolvedEnvironment, host: Access, members: list[Access], namespace: Done, wired: object
) -> Done:
    """Make helloworld run in every cluster, its version as the cluster's role wants it."""
    _await_new_gateways(mesh.stack.gateway.name, members)
    environment = mesh.environment
    sample = replace(mesh, environment=with_member_names(environment, members))
    if environment.federation == "direct":
        made = [
            name
            for member in members
            for name in kube.connect(member).apply(
                [sample.helloworld(sample.sample_version(member.cluster))], environment.name
            )
        ]
    else:
        made = propagate(environment, host, sample.federated_helloworld(), members)
    for member in members:
        readiness.await_deployment(kube.connect(member), "helloworld", SAMPLE_NAMESPACE)
    return changed(host.cluster, made)


def _await_new_gateways(gateway: str, members: list[Access]) -> None:
    """Wait for the gateways of clusters that join others at work: these will ask there at once."""
    clients = [kube.connect(member) for member in members]
    new = [c for c in clients if not c.get("Deployment", "helloworld", SAMPLE_NAMESPACE, "apps/v1")]
    if len(new) < len(clients):
        for client in new:
            readiness.await_deployment(client, gateway, ISTIO_NAMESPACE)
