"""Whose mesh a cluster's is: its root CA, in `cacerts`, tells who made it, when and from where."""

import base64
from collections.abc import Iterable
from contextlib import suppress

from isthmus import providers, state, trust
from isthmus.adapters import kube
from isthmus.environment import Environment
from isthmus.errors import Rejected, TransientError, Unprepared
from isthmus.facts import Access
from isthmus.federation import CACERTS, SYSTEM


def built_elsewhere(environment: Environment, accesses: Iterable[Access]) -> list[str]:
    """Name each cluster whose mesh bears this environment's name and another home's root CA.

    Each is a sentence for a person: `beijing: its root CA was made by ann@desk ...`. What is no
    mesh of ours has no label of ours either, and is nobody's concern here.
    """
    ours = trust.known_root(state.folder(environment.name) / "ca")
    roots = {access.cluster: root_in(access) for access in accesses}
    return [
        f"{cluster}: its root CA {trust.origin(root)}"
        for cluster, root in roots.items()
        if root.strip() != ours.strip() and trust.is_root_of(root, environment.name)
    ]


def reachable(environment: Environment) -> list[Access]:
    """Return the clusters of an environment that answer; those that do not are left out."""
    found = []
    for cluster in environment.clusters:
        with suppress(TransientError, Rejected, Unprepared):
            found.append(providers.of(environment).access(environment, cluster))
    return found


def root_in(access: Access) -> str:
    """Return the root certificate (PEM) of the mesh in a cluster; nothing if there is none."""
    secret = kube.connect(access).get("Secret", CACERTS, SYSTEM) or {}
    encoded = (secret.get("data") or {}).get("root-cert.pem", "")
    try:
        return base64.b64decode(encoded).decode()
    except ValueError:  # somebody's own, in a form of their own
        return ""
