"""The console's federation, taken over as the guide does it: its kubeconfig, and who is in it.

The cloud has no public API that makes a federation; its console leaves the admin's kubeconfig in a
ConfigMap of the host, with a context `context-ID` for each member (guide, "Obtain the federation
certificate"). Under which key is not said, so that every value is looked at.
"""

from pathlib import Path
from typing import Any

import yaml

from isthmus import state
from isthmus.adapters import kubefed
from isthmus.adapters.kube import Kube
from isthmus.environment.namespaces import KUBEFED_NAMESPACE
from isthmus.errors import Unprepared
from isthmus.providers.kce import purchase_record
from isthmus.step_results import Access

NAME, CONFIGMAP_NAMESPACE = "kubefedconfig", "kube-system"
IN_CONSOLE = "KCE console, Multi-Cluster > Federation Management"


def store_kubeconfig(host: Kube, environment: str) -> Path:
    """Keep the federation's kubeconfig (0600) in the environment's folder; return where.

    Raises Unprepared, with both ways to go on, if the console has made no federation.
    """
    path = purchase_record.folder(environment) / "federation.kubeconfig"
    found = host.get("ConfigMap", NAME, CONFIGMAP_NAMESPACE) or {}
    text = next((value for value in (found.get("data") or {}).values() if _is_config(value)), "")
    if not text:
        raise Unprepared(
            f"no federation: there is no kubeconfig in ConfigMap {CONFIGMAP_NAMESPACE}/{NAME}",
            cluster=host.access.cluster,
            hint=f"create it with all clusters in it ({IN_CONSOLE}), then: isthmus up "
            f"{environment}; or let Isthmus install KubeFed: kce: {{federation: isthmus}}",
        )
    state.write_private(path, text)
    return path


def check_members(host: Kube, federation: Path, members: list[Access]) -> None:
    """Raise Unprepared with every cluster that the federation does not have."""
    contexts = _contexts(federation.read_text())
    lacking = [
        f"{member.cluster} ({member.member_name})"
        for member in members
        if f"context-{member.member_name}" not in contexts or not _is_member(host, member)
    ]
    if lacking:
        raise Unprepared(
            f"the console's federation does not have {', '.join(lacking)}",
            cluster=host.access.cluster,
            hint=f"add them ({IN_CONSOLE}, Add Member Cluster), then run it again",
        )


def _is_member(host: Kube, member: Access) -> bool:
    name = member.member_name
    return bool(host.get("KubeFedCluster", name, KUBEFED_NAMESPACE, kubefed.CORE_API))


def _is_config(text: Any) -> bool:
    return bool(_contexts(text))


def _contexts(text: Any) -> set[str]:
    """Return the names of a kubeconfig's contexts; none if this is no kubeconfig."""
    try:
        document = yaml.safe_load(text)
        return {str(entry["name"]) for entry in document["contexts"]}
    except (yaml.YAMLError, LookupError, TypeError, AttributeError):
        return set()
