"""The environment's network: a bridge, a namespace a region, and no way off the machine."""

import hashlib
import ipaddress
import json
import os
from pathlib import Path

from filelock import FileLock
from pydantic import BaseModel, ConfigDict

from isthmus.adapters import shell
from isthmus.errors import Unprepared
from isthmus.providers.lab import forwarding

DEFAULT_RANGES = ("198.18.0.0/16", "198.19.0.0/16", "100.96.0.0/16", "172.29.0.0/16")
"""Ranges, each with a /24 for every environment; the first with room is used: benchmarks (RFC 2544,
which VPNs and "fake-ip" proxies like too), providers' inner networks (RFC 6598), private ones."""
RANGE_VARIABLE = "ISTHMUS_LAB_RANGE"
"""Variable that names another one."""
ADDRESSES_PER_REGION = 20
"""Addresses a region has: its node's, then its load balancer's pool."""
SERVICE_CIDR = "10.96.0.0/16"
NETNS = Path("/run/netns")
LOCAL = 0x02
"""First byte of a hardware address that nobody has assigned (IEEE 802: locally administered)."""


class LabNetwork(BaseModel):
    """What an environment's regions are connected by; names are unique to the state folder."""

    model_config = ConfigDict(frozen=True)

    id: str
    subnet: ipaddress.IPv4Network

    @property
    def bridge(self) -> str:
        """Name of the bridge, within the kernel's 15 characters."""
        return f"isth-{self.id}"

    def namespace(self, cluster: str) -> str:
        """Name of a region's network namespace."""
        return f"isthmus-{self.id}-{cluster}"

    def link(self, index: int) -> str:
        """Name of the machine's end of a region's cable."""
        return f"isth-{self.id}-{index}"

    def mac_address(self, index: int) -> str:
        """Address of the region's end of its cable, the same for whoever has this place.

        Neighbours remember for a minute which cable an address was at.
        """
        subnet = self.subnet.network_address.packed[:3]
        return bytes([LOCAL, 0, *subnet, index]).hex(":")

    def node(self, index: int) -> str:
        """Address of the region's node."""
        return str(self.subnet[index * ADDRESSES_PER_REGION + 2])

    def pool(self, index: int) -> list[str]:
        """Addresses that the region's load balancer gives away."""
        return [
            str(self.subnet[index * ADDRESSES_PER_REGION + 3 + k])
            for k in range(ADDRESSES_PER_REGION - 4)
        ]


def ensure_network(folder: Path) -> LabNetwork:
    """Make the environment's bridge exist, on a subnet that nothing else on this machine uses."""
    record = folder / "network.json"
    with FileLock("/run/lock/isthmus-network.lock"):
        if record.exists():
            network = LabNetwork.model_validate_json(record.read_text())
        else:
            network = LabNetwork(id=_identity(folder), subnet=_free_subnet(folder))
            record.write_text(network.model_dump_json())
        if not shell.succeeds(["ip", "link", "show", network.bridge]):
            _add_bridge(network)
        forwarding.allow(network.bridge)
    return network


def find_network(folder: Path) -> LabNetwork | None:
    """Return the network that was made for this folder, if one was."""
    record = folder / "network.json"
    return LabNetwork.model_validate_json(record.read_text()) if record.exists() else None


def connect(network: LabNetwork, cluster: str, index: int) -> None:
    """Make the region's namespace exist, cabled to the bridge and routed to its neighbours."""
    name = network.namespace(cluster)
    inside = ["nsenter", f"--net={NETNS / name}"]
    if shell.succeeds([*inside, "ip", "route", "get", "10.96.0.1"]):
        return
    disconnect(network, cluster, index)
    link = network.link(index)
    shell.run(["ip", "netns", "add", name])
    end = ["name", "eth0", "address", network.mac_address(index), "netns", name]
    shell.run(["ip", "link", "add", link, "type", "veth", "peer", *end])
    shell.run(["ip", "link", "set", link, "master", network.bridge, "up"])
    for command in _inside(network.node(index)):
        shell.run([*inside, *command.split()])


def disconnect(network: LabNetwork, cluster: str, index: int) -> None:
    """Leave neither cable nor namespace; the cable first, as a namespace's end frees it late."""
    for command in (
        ["ip", "link", "del", network.link(index)],
        ["ip", "netns", "del", network.namespace(cluster)],
    ):
        shell.succeeds(command)


def remove_network(folder: Path) -> None:
    """Leave no bridge of this environment, and no rule for it."""
    network = find_network(folder)
    if network:
        forwarding.forbid(network.bridge)
    if network and shell.succeeds(["ip", "link", "show", network.bridge]):
        shell.run(["ip", "link", "del", network.bridge])
    (folder / "network.json").unlink(missing_ok=True)


def _inside(node: str) -> list[str]:
    # No default route: what is neither a neighbour nor a Service is unreachable at once,
    # whatever this machine would forward.
    return [
        "ip link set lo up",
        "ip link set eth0 up",
        f"ip addr add {node}/24 dev eth0",
        f"ip route add {SERVICE_CIDR} dev eth0 src {node}",
        "sysctl -qw net.ipv4.ip_forward=1",
    ]


def _identity(folder: Path) -> str:
    return hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:6]


def _add_bridge(network: LabNetwork) -> None:
    shell.run(["ip", "link", "add", network.bridge, "type", "bridge"])
    shell.run(["ip", "addr", "add", f"{network.subnet[1]}/24", "dev", network.bridge])
    shell.run(["ip", "link", "set", network.bridge, "up"])


def _free_subnet(folder: Path) -> ipaddress.IPv4Network:
    taken, start = _taken(), int(_identity(folder), 16)
    pools = _pools()
    for pool in pools:
        subnets = list(pool.subnets(new_prefix=24))
        for step in range(len(subnets)):
            subnet = subnets[(start + step) % len(subnets)]
            if not any(subnet.overlaps(other) for other in taken):
                return subnet
    blocking = sorted(f"{n} ({link})" for n, link in taken.items() if any(map(n.overlaps, pools)))
    ranges, named = ", ".join(map(str, pools)), f"{RANGE_VARIABLE}=10.77.0.0/16"
    raise Unprepared(
        f"no free /24 in {ranges}: this machine has {', '.join(blocking)}",
        hint=f"end what uses them (a lab: isthmus down NAME), or name a free range: {named}",
    )


def _pools() -> list[ipaddress.IPv4Network]:
    """Return the ranges to choose from; raises Unprepared if the shell names none that is one."""
    named = os.environ.get(RANGE_VARIABLE)
    try:
        pools = [ipaddress.IPv4Network(text) for text in ([named] if named else DEFAULT_RANGES)]
    except ValueError as error:
        raise Unprepared(
            f"{RANGE_VARIABLE}: {error}", hint=f"as in {RANGE_VARIABLE}=10.77.0.0/16"
        ) from None
    if pools[0].prefixlen > 24:
        raise Unprepared(
            f"{RANGE_VARIABLE}: {named} is smaller than a /24", hint="name a /24 or more"
        )
    return pools


def _taken() -> dict[ipaddress.IPv4Network, str]:
    """Return the networks that this machine is in or has routes to, and by which link.

    A route's destination is somebody's, whether or not an address of ours is in it; the default
    route is nobody's in particular.
    """
    links = json.loads(shell.run(["ip", "-j", "-4", "addr"]))
    found = {
        ipaddress.IPv4Network(f"{a['local']}/{a['prefixlen']}", strict=False): link["ifname"]
        for link in links
        for a in link["addr_info"]
    }
    for route in json.loads(shell.run(["ip", "-j", "-4", "route", "show", "table", "all"])):
        if route["dst"] != "default" and route.get("type") not in ("broadcast", "local"):
            network = ipaddress.IPv4Network(route["dst"], strict=False)
            if network.prefixlen > 1:  # VPNs halve the default route: 0.0.0.0/1 and 128.0.0.0/1
                found.setdefault(network, route.get("dev", "a route"))
    return found
