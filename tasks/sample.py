"""The sample: helloworld v1 on the host, v2 on the remotes, and a caller everywhere."""

from isthmus.adapters import kube, readiness
from isthmus.environment import Environment
from isthmus.kubefed_manifests import SAMPLE, SYSTEM
from isthmus.stacks import load
from isthmus.step_results import Access, Done, changed
from tasks.federation import named, propagate
from tasks.install import filled
from tasks.policies import step


@step("deploy caller", of="access")
def deploy_caller(
    environment: Environment, access: Access, namespace: Done, injector: object
) -> Done:
    """Make the sample's Service and a pod that calls it exist in the cluster."""
    client = kube.connect(access)
    made = client.apply(filled(environment).callers(access.cluster))
    readiness.await_deployment(client, "sleep", SAMPLE)
    return changed(access.cluster, made)


@step("deploy sample")
def deploy_sample(
    environment: Environment, host: Access, members: list[Access], namespace: Done, wired: object
) -> Done:
    """Make helloworld run in every cluster, its version as the cluster's role wants it."""
    _await_ways_in(load(environment.stack).gateway.name, members)
    sample = filled(named(environment, members))
    if environment.federation == "direct":
        made = [
            name
            for member in members
            for name in kube.connect(member).apply(
                [sample.helloworld(sample.version_on(member.cluster))]
            )
        ]
    else:
        made = propagate(host, sample.federated_helloworld(), members)
    for member in members:
        readiness.await_deployment(kube.connect(member), "helloworld", SAMPLE)
    return changed(host.cluster, made)


def _await_ways_in(gateway: str, members: list[Access]) -> None:
    """Wait for the gateways of clusters that join others at work: these will ask there at once."""
    clients = [kube.connect(member) for member in members]
    new = [c for c in clients if not c.get("Deployment", "helloworld", SAMPLE, "apps/v1")]
    if len(new) < len(clients):
        for client in new:
            readiness.await_deployment(client, gateway, SYSTEM)
