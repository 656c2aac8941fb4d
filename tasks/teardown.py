"""Teardown: what was put into clusters is taken out, what was made is deleted."""

from isthmus import binaries, environment_store, mesh_ca, ownership, providers, state
from isthmus.adapters import helm, kube, kubefed, kubefedctl, prune
from isthmus.adapters.diff import owner_of
from isthmus.environment import Environment
from isthmus.environment.namespaces import KUBEFED_NAMESPACE
from isthmus.errors import Rejected
from isthmus.step_results import Access, Done
from tasks.policies import step


def has_disposable_clusters(environment: Environment) -> bool:
    """Tell whether deleting the clusters takes everything in them along."""
    return providers.get_provider(environment).disposable


@step("check owner", looks=True)
def check_owner(environment: Environment, clusters: list[Access], anothers: bool) -> Done:
    """Make sure that the mesh is this home's, or that a person said yes to another's end.

    Raises Rejected otherwise, with who made it, when and from where.
    """
    found = ownership.built_elsewhere(environment, clusters)
    if found and not anothers:
        raise Rejected(
            f"the root CA of this mesh is not in this ISTHMUS_HOME: {'; '.join(found)}",
            hint=f"ask them; to delete it anyway: isthmus down {environment.name} --yes",
        )
    return Done(cluster="", found="; ".join(found) or "ours")


@step("remove federated objects", of="host")
def remove_federated_objects(environment: Environment, host: Access) -> Done:
    """Leave no federated object of the environment; KubeFed takes them out of every cluster."""
    client = kube.connect(host)
    kinds = ("FederatedDeployment", "FederatedSecret", "FederatedNamespace")
    gone = prune.remove_owned(client, environment.name, kubefed.TYPES_API, kinds)
    return Done(cluster=host.cluster, found=f"{gone} deleted")


@step("leave federation", of="member")
def leave_federation(
    environment: Environment, host: Access, member: Access, withdrawn: Done
) -> Done:
    """Make the cluster no member any more."""
    return unjoin(environment, host, member)


@step("remove federation", of="host")
def remove_federation(environment: Environment, host: Access, left: list[Done]) -> Done:
    """Leave neither KubeFed's release nor its kinds, if they were ours."""
    client = kube.connect(host)
    if not is_own_federation(environment, client):
        return Done(cluster=host.cluster, found="not installed for this environment")
    # Their finalizers are taken off by the controller that is about to go.
    prune.remove_all(client, kubefed.CORE_API, "FederatedTypeConfig")
    program = binaries.ensure(environment, "helm")
    helm.uninstall(program, host, kubefed.RELEASE, KUBEFED_NAMESPACE)
    prune.remove_crds(client, "kubefed.io")
    return Done(cluster=host.cluster, found="removed")


@step("remove objects", of="access")
def remove_objects(environment: Environment, access: Access, federation: object) -> Done:
    """Leave nothing in the cluster that bears the environment's name, nor what grew out of it."""
    root = mesh_ca.read_root_certificate(state.folder(environment.name) / "ca")
    count = prune.remove_everything(kube.connect(access), environment.name, root)
    return Done(cluster=access.cluster, found=f"{count} objects deleted")


@step("delete clusters")
def delete_clusters(environment: Environment, withdrawn: list[Done]) -> Done:
    """Leave none of the clusters that were made for the environment."""
    provider = providers.get_provider(environment)
    provider.delete(environment)
    kube.clear_clients()
    left = "not deleted: Isthmus did not create them"
    return Done(cluster="", found="deleted" if provider.disposable else left)


@step("forget environment")
def forget_environment(environment: Environment, deleted: Done) -> Done:
    """Leave no file of the environment."""
    environment_store.delete(environment.name)
    return Done(cluster="")


def unjoin(environment: Environment, host: Access, member: Access) -> Done:
    """Leave nothing of the membership, in the host or in the member."""
    client, name, known_as = kube.connect(host), member.cluster, member.member_name
    if not client.get("KubeFedCluster", known_as, KUBEFED_NAMESPACE, kubefed.CORE_API):
        return Done(cluster=name, found="was not a member")
    kubefedctl.unjoin(binaries.ensure(environment, "kubefedctl"), host, member)
    return Done(cluster=name, found="unjoined")


def is_own_federation(environment: Environment, host: kube.Kube) -> bool:
    """Tell whether the federation in the host was made for this environment."""
    space = host.get("Namespace", KUBEFED_NAMESPACE)
    return bool(space) and owner_of(space) == environment.name
