"""What is asked of KCE for an environment; pure.

Shapes: kingsoftcloud-sdk-python, ksyun/client/kce/v20201231/models.py, and how the cloud's own
terraform-provider-ksyun sends them (service_ksyun_kce.go): lists count from 1, a node's parameters
are JSON in `Para`, booleans are in lower case.
"""

import json
from typing import Any

from isthmus.adapters.diff import ENVIRONMENT_LABEL
from isthmus.environment import ClusterSpec, Environment

NODES = 2
CHARGE = "Daily"
POD_CIDR, SERVICE_CIDR = "172.16.0.0/16", "10.252.0.0/16"
"""The networks of the cloud's own examples (terraform-provider-ksyun, kce_cluster)."""


def name(environment: str, cluster: str) -> str:
    """Return a cluster's name in KCE; no other pair of names makes the same: they hold no `_`."""
    return f"{environment}_{cluster}"


def cluster_description(environment: str, cluster: str) -> str:
    """Return the description by which a cluster is known as ours: KCE's clusters have no tags."""
    return f"{ENVIRONMENT_LABEL}={environment} isthmus/cluster={cluster}"


def owner(description: str) -> str:
    """Return the environment that a cluster with this description was made for, or nothing."""
    words = dict(word.partition("=")[::2] for word in description.split())
    return words.get(ENVIRONMENT_LABEL, "") if "isthmus/cluster" in words else ""


def creation(environment: Environment, cluster: ClusterSpec) -> dict[str, Any]:
    """Return the parameters of CreateCluster: a managed cluster, reachable from outside.

    Protection against deletion is on if nothing is said, and `down` could not delete it.
    """
    common, site = environment.kce, cluster.kce
    return {
        "ClusterName": name(environment.name, cluster.name),
        "ClusterDesc": cluster_description(environment.name, cluster.name),
        "ClusterManageMode": "ManagedCluster",
        "K8sVersion": common.version,
        "VpcId": site.vpc,
        "ReserveSubnetId": site.reserve_subnet,
        "PodCidr": site.pod_cidr or POD_CIDR,
        "ServiceCidr": site.service_cidr or SERVICE_CIDR,
        "NetworkType": "Flannel",
        "ExposePublicApiServer": "true",
        "EnableDelProtection": "false",
        "ManagedClusterMultiMaster": _numbered(
            {"SubnetId": site.subnet, "SecurityGroupId": site.security_group}
        ),
        "InstanceForNode": _numbered(
            {
                "NodeRole": "Worker",
                "NodeConfig": _numbered({"Para": json.dumps(_node(environment, cluster))}),
            }
        ),
    }


def purchase(environment: Environment, cluster: ClusterSpec) -> str:
    """Return in one line what CreateCluster will buy."""
    common = environment.kce
    nodes = f"{common.nodes or NODES} x {common.instance_type}, {common.charge or CHARGE}"
    return (
        f"{cluster.name}: KCE cluster {name(environment.name, cluster.name)} in {cluster.region}, "
        f"Kubernetes {common.version}, managed control plane with a public address, {nodes}"
    )


def _node(environment: Environment, cluster: ClusterSpec) -> dict[str, Any]:
    common, site = environment.kce, cluster.kce
    count = common.nodes or NODES
    parameters = {
        "InstanceName": name(environment.name, cluster.name),
        "InstanceType": common.instance_type,
        "ImageId": site.image,
        "SubnetId": site.subnet,
        "SecurityGroupId": site.security_group,
        "ChargeType": common.charge or CHARGE,
        "MinCount": count,
        "MaxCount": count,
    }
    return {**parameters, "KeyId.1": site.key} if site.key else parameters


def _numbered(*entries: dict[str, Any]) -> dict[str, Any]:
    """Return a list as KCE counts it; the SDK itself would count from 0."""
    return {str(number): entry for number, entry in enumerate(entries, 1)}
