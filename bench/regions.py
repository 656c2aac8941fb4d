"""The walk's regions, one after the other: the product's own flags and files, plainly started.

Runs inside the walk's namespaces: `python -m bench.regions FOLDER NAME...`. The two differ from the
product's regions in who waits for what, and in nothing else that costs time; nobody audits here.
"""

import ipaddress
import subprocess
import sys
from pathlib import Path

from isthmus import polling, state
from isthmus.adapters import shell
from isthmus.providers.lab import components, network, region
from isthmus.providers.lab.images import ensure_golden
from isthmus.providers.lab.region import Region
from isthmus.providers.lab.tools import Toolchain, ensure_toolchain

NETWORK = network.LabNetwork(id="walk", subnet=ipaddress.IPv4Network("198.19.0.0/24"))
INSIDE = ("/run/region", "/run/containerd-state", "/run/ipam", "/run/supervisor.pid")
"""Where a region of the product has its folders; it alone sees its /run, and here all share one."""
API_TIMEOUT = 120.0
"""Seconds until an API server must answer; 4 on a quiet machine."""


def main() -> None:
    """Make the regions run, each up before the next is begun."""
    folder, *names = sys.argv[1:]
    tools = ensure_toolchain()
    golden = ensure_golden(tools)
    _make_bridge()
    for index, name in enumerate(names):
        home = Path(folder) / name
        bring_up(Region(name, f"region-{name}", index, home, NETWORK), tools, golden)


def bring_up(place: Region, tools: Toolchain, golden: Path) -> None:
    """Make one region run, its API server answering."""
    network.connect(NETWORK, place.cluster, place.index)
    prepare(place, tools, golden)
    inside = own(place.cluster, str(components.HOME))
    shell.run(["mkdir", "-p", inside])
    shell.run(["mount", "--bind", place.folder, inside])
    found = commands(place, tools)
    _start(place, found, components.FIRST_PROGRAMS)
    # Asked as a person would ask, with curl; the server lets anybody ask this.
    answers = ["curl", "-skf", f"{place.server}/readyz"]
    polling.until(
        lambda: shell.succeeds(answers) or None,
        "the API server to answer",
        timeout=API_TIMEOUT,
        interval=0.25,
    )
    _start(place, found, components.LATER_PROGRAMS)


def prepare(place: Region, tools: Toolchain, golden: Path) -> None:
    """Make the region's folder hold its keys, configuration and images."""
    region.prepare(place, tools, golden)
    for file in (place.folder / "etc").rglob("*"):
        if file.is_file():
            state.write_private(file, own(place.cluster, file.read_text()))


def commands(place: Region, tools: Toolchain) -> dict[str, list[str]]:
    """Return the command line of every program of the region, by name."""
    pool = NETWORK.pool(place.index)
    node = components.RegionNode(place.cluster, place.label, NETWORK.node(place.index), pool)
    return {
        name: [own(place.cluster, part) for part in command if "--audit-" not in part]
        for name, command in components.programs(node, tools).items()
    }


def own(cluster: str, text: str) -> str:
    """Return the text with the product's places turned into this region's."""
    for place in INSIDE:
        text = text.replace(place, place.replace("/run/", f"/run/{cluster}/"))
    return text


def _make_bridge() -> None:
    for command in (
        "ip link set lo up",
        f"ip link add {NETWORK.bridge} type bridge",
        f"ip addr add {NETWORK.subnet[1]}/24 dev {NETWORK.bridge}",
        f"ip link set {NETWORK.bridge} up",
    ):
        shell.run(command.split())


def _start(place: Region, found: dict[str, list[str]], names: tuple[str, ...]) -> None:
    inside = f"--net={network.NETNS / NETWORK.namespace(place.cluster)}"
    for name in names:
        with (place.folder / "logs" / f"{name}.log").open("ab") as log:
            subprocess.Popen(
                ["nsenter", inside, *found[name]],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )


if __name__ == "__main__":
    main()
