"""The federation: KubeFed in the host, all clusters members, namespaces and secrets on them.

With `federation: direct` the same steps apply to every cluster themselves.
"""

import base64
from pathlib import Path

from isthmus import binaries, kubefed_manifests, mesh_ca, ownership, state
from isthmus.adapters import helm, kube, kubeconfigs, kubefed, kubefedctl, orphans, readiness
from isthmus.adapters.diff import Manifest
from isthmus.adapters.kubefed import CONTROLLERS, RELEASE, WEBHOOK
from isthmus.environment import Environment
from isthmus.environment.namespaces import ISTIO_NAMESPACE, KUBEFED_NAMESPACE
from isthmus.errors import Rejected
from isthmus.istio_manifests import ResolvedEnvironment
from isthmus.kubefed_manifests import NamespaceSpec
from isthmus.providers.kce import console_federation
from isthmus.stacks import load
from isthmus.step_results import Access, Done, changed
from tasks.policies import step


@step("install federation", of="host")
def install_federation(mesh: ResolvedEnvironment, host: Access) -> Done:
    """Make KubeFed's chart stand in the host and its webhook answer."""
    environment = mesh.environment
    client, chart = kube.connect(host), binaries.ensure(environment, binaries.CHART)
    values = mesh.kubefed_values()
    orphans.finish_crd_deletion(client, environment.name)
    space = kubefed_manifests.kubefed_namespace_spec(environment).namespace(host.cluster)
    made = client.apply([space], environment.name)
    if not helm.is_installed(client, RELEASE, KUBEFED_NAMESPACE, chart, values):
        helm.prepare(client, RELEASE, KUBEFED_NAMESPACE, chart)
        program = binaries.ensure(environment, "helm")
        helm.install(program, host, RELEASE, KUBEFED_NAMESPACE, chart, values)
        made.append(f"release {RELEASE}")
    # Whose webhook answers for its own objects.
    parts = helm.get_manifest(client, RELEASE, KUBEFED_NAMESPACE, chart)
    last = [part for part in parts if part["apiVersion"] == kubefed.CORE_API]
    first = [part for part in parts if part not in last]
    made += client.apply(first, owner="", scale_up=False)
    if made:
        readiness.await_served(client, kubefed.CORE_API, {part["kind"] for part in last})
        readiness.await_served(client, kubefed.TYPES_API, kubefed.TARGETS)
    readiness.await_deployment(client, WEBHOOK, KUBEFED_NAMESPACE)
    made += client.apply(last, owner="", scale_up=False)
    return changed(host.cluster, made)


@step("start federation", of="host")
def start_federation(host: Access, installed: Done) -> Done:
    """Make KubeFed's controllers run and carry every kind."""
    client = kube.connect(host)
    started = readiness.start_deployment(client, CONTROLLERS, KUBEFED_NAMESPACE)
    readiness.await_deployment(client, CONTROLLERS, KUBEFED_NAMESPACE)
    kubefed.await_types(client)
    return Done(cluster=host.cluster, found="started" if started else "unchanged")


@step("take over federation", of="host", looks=True)
def take_over(environment: Environment, host: Access, members: list[Access]) -> Done:
    """Make sure that the federation which the cloud's console made has every cluster, Ready."""
    client = kube.connect(host)
    console_federation.check_members(
        client, console_federation.store_kubeconfig(client, environment.name), members
    )
    for member in members:
        kubefed.await_member(client, member.member_name)
    kubefed.await_types(client)
    return Done(cluster=host.cluster, found=f"{len(members)} members Ready")


@step("merge kubeconfigs", looks=True)
def merge_kubeconfigs(environment: Environment, members: list[Access]) -> Path:
    """Make one kubeconfig (0600) reach every cluster, each by a context of its own name."""
    path = state.ensure_folder(environment.name) / "kubeconfig"
    return kubeconfigs.merge(members, path)


@step("join", of="member")
def join(environment: Environment, host: Access, member: Access, federation: Done) -> Done:
    """Make a cluster a member of the federation, Ready."""
    client = kube.connect(host)
    name = member.member_name
    if _is_joined(client, member):
        mended = kubefed.set_api_endpoint(client, name, *kubeconfigs.server(member))
        return changed(member.cluster, [f"KubeFedCluster {name}"] * mended)
    program = binaries.ensure(environment, "kubefedctl")
    kubefedctl.join(program, host, member)
    kubefed.await_member(client, name)
    return Done(cluster=member.cluster, found="joined")


@step("make namespace istio-system", of="host")
def create_host_namespace(environment: Environment, host: Access) -> Done:
    """Give the host what its control plane needs at once: istio-system with its own `cacerts`."""
    return changed(host.cluster, _apply_system_namespace(environment, host))


@step("federate namespace istio-system")
def federate_namespace(
    environment: Environment,
    host: Access,
    members: list[Access],
    joined: list[Done],
    prepared: Done,
) -> Done:
    """Make istio-system exist in every cluster, each labelled with its own network."""
    space = kubefed_manifests.istio_namespace_spec(with_member_names(environment, members))
    return _apply_namespace(environment, space, host, members)


@step("federate namespace sample")
def federate_sample(
    environment: Environment, host: Access, members: list[Access], joined: list[Done]
) -> Done:
    """Make the sample's namespace exist in every cluster, its pods injected."""
    space = kubefed_manifests.sample_namespace_spec(with_member_names(environment, members))
    return _apply_namespace(environment, space, host, members)


@step("federate secret cacerts")
def federate_secret(
    environment: Environment, host: Access, members: list[Access], namespace: Done
) -> Done:
    """Make `cacerts` exist in every cluster: one root, an intermediate for each."""
    if environment.federation == "direct":
        made = [name for m in members for name in _apply_system_namespace(environment, m)]
        return changed(host.cluster, made)
    clusters = {m.member_name: _encoded(environment, m.cluster) for m in members}
    manifest = kubefed_manifests.federated_cacerts_secret(environment.name, clusters)
    return changed(host.cluster, propagate(environment, host, manifest, members))


def _is_joined(host: kube.Kube, member: Access) -> bool:
    """Tell whether the federation knows this very cluster, and not one that it replaced."""
    found = host.get("KubeFedCluster", member.member_name, KUBEFED_NAMESPACE, kubefed.CORE_API)
    if not found or not kubefed.member_is_ready(host, member.member_name):
        return False
    server, _ = kubeconfigs.server(member)
    return bool(found["spec"]["apiEndpoint"] == server)


def _apply_namespace(
    environment: Environment, space: NamespaceSpec, host: Access, members: list[Access]
) -> Done:
    direct = environment.federation == "direct"
    made = [
        name
        for member in (members if direct else [host])
        for name in kube.connect(member).apply([space.namespace(member.cluster)], environment.name)
    ]
    if not direct:
        manifest = space.federated_namespace(environment.name)
        made += propagate(environment, host, manifest, members)
    return changed(host.cluster, made)


def with_member_names(environment: Environment, members: list[Access]) -> Environment:
    """Return the environment with the names by which its federation really knows the clusters."""
    return environment.with_members({member.cluster: member.member_name for member in members})


def propagate(
    environment: Environment, host: Access, manifest: Manifest, members: list[Access]
) -> list[str]:
    """Make a federated object reach every member; return what had to be changed, and where."""
    client = kube.connect(host)
    made = client.apply([manifest], environment.name)
    there = {member.member_name: kube.connect(member) for member in members}
    if not made and kubefed.is_propagated(client, manifest, there):
        return []
    lost = [] if made else kubefed.missing_in_members(manifest, there)
    kubefed.await_propagated(client, manifest, there)
    return made + lost


def _apply_system_namespace(environment: Environment, access: Access) -> list[str]:
    space = kubefed_manifests.istio_namespace_spec(environment).namespace(access.cluster)
    secret = kubefed_manifests.cacerts_secret(_encoded(environment, access.cluster))
    client = kube.connect(access)
    made = client.apply([space], environment.name)
    _check_root(environment, access)
    return made + client.apply([secret], environment.name)


def _check_root(environment: Environment, access: Access) -> None:
    """Refuse to put another root under a mesh that runs: its parts would trust nobody any more."""
    live = kube.connect(access).get("Secret", kubefed_manifests.CACERTS, ISTIO_NAMESPACE)
    ours = _encoded(environment, access.cluster)["root-cert.pem"]
    if live and live.get("data", {}).get("root-cert.pem") != ours:
        said = ownership.foreign_root_origin(environment, access)
        raise Rejected(
            "the mesh there has another root CA than this environment's folder"
            + (f" ({said})" if said else ""),
            cluster=access.cluster,
            hint="if it is a colleague's, give this environment another name; if the folder `ca` "
            f"was lost, restore it, or start over: isthmus down {environment.name} --yes, "
            "isthmus up",
        )


def _encoded(environment: Environment, cluster: str) -> kubefed_manifests.SecretData:
    folder = state.ensure_folder(environment.name) / "ca"
    content = mesh_ca.cacerts(folder, cluster, load(environment.stack).ca_keys)
    return {key: base64.b64encode(text.encode()).decode() for key, text in content.items()}
