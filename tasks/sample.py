"""The sample: helloworld v1 on the host, v2 on the remotes, and a caller everywhere."""

from isthmus.adapters import kube, workloads
from isthmus.adapters.manifests import LABEL, Manifest
from isthmus.environment import Environment
from isthmus.facts import Access, Done, changed
from isthmus.mesh import SAMPLE
from isthmus.render import render
from tasks.install import filled
from tasks.policies import step


@step("deploy caller", of="access")
def deploy_caller(
    environment: Environment, access: Access, namespace: Done, injector: object
) -> Done:
    """Make the sample's Service and a pod that calls it exist in the cluster."""
    client = kube.connect(access)
    made = client.apply(filled(environment).callers())
    workloads.await_deployment(client, "sleep", SAMPLE)
    return changed(access.cluster, made)


@step("deploy sample")
def deploy_sample(
    environment: Environment, host: Access, members: list[Access], namespace: Done, wired: object
) -> Done:
    """Make helloworld run in every cluster, its version as the cluster's role wants it."""
    if environment.federation == "direct":
        made = [
            name
            for m in members
            for name in kube.connect(m).apply([_version(environment, m.cluster)])
        ]
    else:
        made = kube.connect(host).apply([_federated(environment, members)])
    for member in members:
        await_helloworld(member, _version(environment, member.cluster))
    return changed(host.cluster, made)


def await_helloworld(access: Access, wanted: Manifest) -> None:
    """Wait until the cluster's helloworld is the wanted one and runs."""
    workloads.await_deployment(kube.connect(access), wanted["metadata"]["name"], SAMPLE)


def _version(environment: Environment, cluster: str) -> Manifest:
    return filled(environment).helloworld("v1" if cluster == environment.host.name else "v2")


def _federated(environment: Environment, members: list[Access]) -> Manifest:
    remotes = [m.cluster for m in members if m.cluster != environment.host.name]
    [manifest] = render(
        "sample/federated-deployment.yaml.j2",
        deployment=filled(environment).helloworld("v1"),
        labels={LABEL: environment.name},
        clusters=[m.cluster for m in members],
        remotes=remotes,
        v2_image=filled(environment).images.helloworld_v2,
    )
    return manifest
