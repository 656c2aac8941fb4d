"""Whose mesh a cluster's is: its root CA, in `cacerts`, tells who made it, when and from where."""

import base64
from collections.abc import Iterable
from contextlib import suppress

from isthmus import mesh_ca, providers, state
from isthmus.adapters import kube
from isthmus.environment import Environment
from isthmus.environment.namespaces import ISTIO_NAMESPACE
from isthmus.errors import Rejected, TransientError, Unprepared
from isthmus.kubefed_manifests import CACERTS
from isthmus.step_results import Access


def built_elsewhere(environment: Environment, accesses: Iterable[Access]) -> list[str]:
    """Name each cluster whose mesh another home built, with who, from where and when, for a person.

    What is no mesh of ours has no label of ours either, and is nobody's concern here.
    """
    told = {access.cluster: foreign_root_origin(environment, access) for access in accesses}
    return [f"{cluster}: {said}" for cluster, said in told.items() if said]


def foreign_root_origin(environment: Environment, access: Access) -> str:
    """Return who made the root CA of a mesh of this name, nothing if this home did, or nobody."""
    ours, root = (
        mesh_ca.read_root_certificate(state.folder(environment.name) / "ca"),
        read_root_certificate(access),
    )
    if root.strip() == ours.strip() or not mesh_ca.is_root_of(root, environment.name):
        return ""
    return f"its root CA {mesh_ca.origin(root)}"


def reachable(environment: Environment) -> list[Access]:
    """Return the clusters of an environment that answer; those that do not are left out."""
    found = []
    for cluster in environment.clusters:
        with suppress(TransientError, Rejected, Unprepared):
            found.append(providers.get_provider(environment).access(environment, cluster))
    return found


def read_root_certificate(access: Access) -> str:
    """Return the root certificate (PEM) of the mesh in a cluster; nothing if there is none."""
    secret = kube.connect(access).get("Secret", CACERTS, ISTIO_NAMESPACE) or {}
    encoded = (secret.get("data") or {}).get("root-cert.pem", "")
    try:
        return base64.b64decode(encoded).decode()
    except ValueError:  # somebody's own, in a form of their own
        return ""
