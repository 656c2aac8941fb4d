"""What provider kce needs to know: of all clusters alike, and of each where it is to stand."""

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, StringConstraints

from isthmus.environment.formats import CIDR, IDENTITY, INSTANCE, KINGSOFT, PRINTABLE, RELEASE
from isthmus.environment.sections import Section

Where = tuple[str | int, ...]
Data = dict[str, Any]

Identity = Annotated[str, StringConstraints(pattern=IDENTITY)]
Cidr = Annotated[str, StringConstraints(pattern=CIDR)]
FederationOwner = Literal["console", "isthmus"]

CLUSTER_NAME = 64
"""Characters of a cluster's name in KCE (CreateCluster, ClusterName)."""
REGIONS = ("cn-beijing-6", "cn-shanghai-2")
"""Where the guide has its host and its first remote."""
NEEDED = ("version", "instance_type")
NEEDED_OF_EACH = ("vpc", "subnet", "reserve_subnet", "security_group", "image")


class Kce(Section):
    """What all clusters that are bought from Kingsoft Cloud have in common."""

    model_config = ConfigDict(title="KCE")

    version: Annotated[str, StringConstraints(pattern=RELEASE)] | None = None
    """Kubernetes of the clusters, as KCE lists it, such as v1.32.3; required by provider kce."""
    instance_type: Annotated[str, StringConstraints(pattern=INSTANCE)] | None = None
    """What each node is, such as S6.4B; required by provider kce."""
    nodes: Annotated[int, Field(ge=1, le=100)] | None = None
    """Nodes of each cluster; by default 2."""
    charge: Literal["Daily", "HourlyInstantSettlement"] | None = None
    """How nodes are charged, by use; by default Daily. What is paid before cannot be given back."""
    federation: FederationOwner | None = None
    """Whose federation: the console's (console, the default) or KubeFed installed by isthmus."""
    credentials_block: Annotated[str, StringConstraints(pattern=PRINTABLE)] | None = None
    """A Prefect Secret block with access_key and secret_key; by default from the environment."""


class Site(Section):
    """Where one cluster stands in Kingsoft Cloud; identities as the console shows them."""

    model_config = ConfigDict(title="Site")

    vpc: Identity | None = None
    """The VPC; required by provider kce."""
    subnet: Identity | None = None
    """The subnet of nodes and control plane; required by provider kce."""
    reserve_subnet: Identity | None = None
    """The terminal subnet, for load balancers; required by provider kce."""
    security_group: Identity | None = None
    """The security group of nodes and control plane; required by provider kce."""
    image: Identity | None = None
    """The nodes' image, one that KCE offers for the version; required by provider kce."""
    key: Identity | None = None
    """A key pair to log in to nodes with; by default none."""
    pod_cidr: Cidr | None = None
    """Addresses of pods, not the VPC's; by default 172.16.0.0/16."""
    service_cidr: Cidr | None = None
    """Addresses of Services, neither pods' nor the VPC's; by default 10.252.0.0/16."""


def with_regions(data: Data) -> Data:
    """Return the data with the guide's regions for the host and the first remote of kce."""
    if data.get("provider") != "kce":
        return data
    remotes = data.get("remotes")
    filled = {**data, "host": _in_region(data.get("host"), REGIONS[0])} if "host" in data else data
    if isinstance(remotes, list) and remotes:
        filled = {**filled, "remotes": [_in_region(remotes[0], REGIONS[1]), *remotes[1:]]}
    return filled


def _in_region(cluster: Any, region: str) -> Any:
    return {"region": region, **cluster} if isinstance(cluster, dict) else cluster


def find_violations(data: Data, clusters: list[tuple[Where, Data]]) -> Iterator[tuple[Where, str]]:
    """Yield the place and the rule of what is wrong with an environment and its parts for kce."""
    parts = [(("kce",), data.get("kce")), *(((*w, "kce"), c.get("kce")) for w, c in clusters)]
    if data.get("provider") != "kce":
        for where, part in parts:
            if isinstance(part, dict) and any(value is not None for value in part.values()):
                yield where, "is for provider kce only"
        return
    for where, part in parts:
        needed = NEEDED if where == ("kce",) else NEEDED_OF_EACH
        if part is None or isinstance(part, dict):
            for key in needed:
                if (part or {}).get(key) is None:
                    yield (*where, key), "is required by provider kce"
    for where, cluster in clusters:
        yield from _of_cluster(str(data.get("name")), where, cluster)


def _of_cluster(environment: str, where: Where, cluster: Data) -> Iterator[tuple[Where, str]]:
    name, region = cluster.get("name"), cluster.get("region")
    if isinstance(name, str) and len(f"{environment}_{name}") > CLUSTER_NAME:
        rule = f"must have, with the environment's name, less than {CLUSTER_NAME} characters in kce"
        yield (*where, "name"), rule
    if region is None or (region == name and region not in KINGSOFT):
        yield (*where, "region"), "is required by provider kce, such as cn-guangzhou-1"
