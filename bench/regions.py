"""The walk's regions, one after the other: the product's own flags and files, plainly started.

Runs inside the walk's namespaces: `python -m bench.regions FOLDER NAME...`. The two differ from the
product's regions in who waits for what, and in nothing else that costs time; nobody audits here.
"""

import ipaddress
import subprocess
import sys
from pathlib import Path

from isthmus import state, waiting
from isthmus.adapters import shell
from isthmus.providers.lab import configuration, network, pki, programs
from isthmus.providers.lab.images import copy_golden, ensure_golden
from isthmus.providers.lab.tools import Toolchain, ensure_toolchain

NETWORK = network.LabNetwork(id="walk", subnet=ipaddress.IPv4Network("198.19.0.0/24"))
INSIDE = ("/run/region", "/run/containerd-state", "/run/ipam")
"""Where a region of the product has its folders; it alone sees its /run, and here all share one."""
API_TIMEOUT = 120.0
"""Seconds until an API server must answer; 4 on a quiet machine."""


def main() -> None:
    """Make the regions run, each up before the next is begun."""
    folder, *regions = sys.argv[1:]
    tools = ensure_toolchain()
    golden = ensure_golden(tools)
    _make_bridge()
    for index, region in enumerate(regions):
        bring_up(Path(folder) / region, index, tools, golden)


def bring_up(home: Path, index: int, tools: Toolchain, golden: Path) -> None:
    """Make one region run, its API server answering."""
    node = NETWORK.node(index)
    network.connect(NETWORK, home.name, index)
    _prepare(home, node, golden)
    place = programs.Node(home.name, f"region-{home.name}", node, NETWORK.pool(index))
    commands = programs.programs(place, tools)
    _start(home, commands, programs.BASE)
    # Asked as a person would ask, with curl; the server lets anybody ask this.
    answers = ["curl", "-skf", f"https://{node}:6443/readyz"]
    waiting.until(
        lambda: shell.succeeds(answers) or None, "API server", timeout=API_TIMEOUT, interval=0.25
    )
    _start(home, commands, programs.REST)


def own(region: str, text: str) -> str:
    """Return the text with the product's places turned into this region's."""
    for place in INSIDE:
        text = text.replace(place, place.replace("/run/", f"/run/{region}/"))
    return text


def _make_bridge() -> None:
    for command in (
        "ip link set lo up",
        f"ip link add {NETWORK.bridge} type bridge",
        f"ip addr add {NETWORK.subnet[1]}/24 dev {NETWORK.bridge}",
        f"ip link set {NETWORK.bridge} up",
    ):
        shell.run(command.split())


def _prepare(home: Path, node: str, golden: Path) -> None:
    for name in ("logs", "volume-plugins", "podlogs"):
        (home / name).mkdir(parents=True)
    pki.ensure_pki(home / "pki", node)
    copy_golden(golden, home / "containerd")
    for name, text in configuration.files(_cgroup(home), home.name).items():
        state.private(home / "etc" / name, own(home.name, text))
    ca, token = (home / "pki/ca.crt").read_bytes(), (home / "pki/token").read_text()
    text = configuration.kubeconfig(home.name, f"https://{node}:6443", ca, token)
    state.private(home / "kubeconfig", text)
    inside = Path(own(home.name, str(programs.HOME)))
    inside.mkdir(parents=True)
    shell.run(["mount", "--bind", home, inside])


def _cgroup(home: Path) -> str:
    return f"/{home.parent.name}/{home.name}"


def _start(home: Path, commands: dict[str, list[str]], names: tuple[str, ...]) -> None:
    inside = f"--net={network.NETNS / NETWORK.namespace(home.name)}"
    for name in names:
        command = [own(home.name, part) for part in commands[name] if "--audit-" not in part]
        with (home / "logs" / f"{name}.log").open("ab") as log:
            subprocess.Popen(
                ["nsenter", inside, *command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )


if __name__ == "__main__":
    main()
