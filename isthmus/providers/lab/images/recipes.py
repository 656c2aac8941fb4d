"""What is in each of the lab's images. All with a shell share one Debian layer."""

from pathlib import Path

from isthmus.adapters import shell
from isthmus.providers.lab.images import names
from isthmus.providers.lab.images.archive import Image, LayerEntry, write_layer
from isthmus.providers.lab.tools import Toolchain

BUSYBOX = Path("/bin/busybox")
PACKAGES = "iptables,curl,python3-minimal,libpython3-stdlib"
EXCLUDED = [f"/usr/share/{part}/*" for part in ("doc", "man", "locale", "info")]
APPLETS = "sh sleep ls cat id hostname env ps kill grep nc mkdir chmod seq wc".split()
IPTABLES = [f"{ip}tables{suffix}" for ip in ("ip", "ip6") for suffix in ("", "-save", "-restore")]
MAX_SLEEP_SECONDS = "2147483647"
"""Seconds; busybox takes no `infinity`."""
IMAGE_UMASK = 0o022
"""Umask of what makes images: pods run as users of their own, whatever this process's umask is."""
PROXY_USER = "1337"
"""The user whose traffic Istio's iptables rules leave alone (istio/tools/istio-iptables)."""


def build(folder: Path, tools: Toolchain) -> list[Image]:
    """Make every layer in `folder` and return the images that lie on them."""
    links = write_layer(folder / "links.tar", [*userland(PROXY_USER, "istio-proxy"), *_iptables()])
    base = [debian(folder / "debian.tar", PACKAGES), links]

    def layer(name: str, *entries: LayerEntry) -> Path:
        return write_layer(folder / f"{name}.tar", entries)

    hello = layer(
        "hello",
        LayerEntry("app/"),
        LayerEntry("app/hello.py", Path(__file__).with_name("hello.py")),
    )
    pilot = layer("pilot", _program(tools.bin / "pilot-discovery"))
    return [
        Image(
            names.PAUSE,
            [layer("pause", LayerEntry("busybox", BUSYBOX))],
            ["/busybox", "sleep", MAX_SLEEP_SECONDS],
        ),
        Image(
            names.COREDNS,
            [layer("coredns", LayerEntry("coredns", tools.bin / "coredns"))],
            ["/coredns"],
        ),
        Image(names.KUBEFED, [layer("kubefed", *_kubefed(tools))], user="1001"),
        Image(names.CALLER, base, ["/bin/sleep", MAX_SLEEP_SECONDS]),
        *(
            Image(
                names.helloworld(version),
                [*base, hello],
                ["python3", "/app/hello.py"],
                env=[f"SERVICE_VERSION={version}"],
            )
            for version in ("v1", "v2")
        ),
        Image(names.PILOT, [*base, pilot], ["/usr/local/bin/pilot-discovery"], user=PROXY_USER),
        Image(names.PROXY, [*base, layer("proxy", *_proxy(tools))], ["/usr/local/bin/pilot-agent"]),
    ]


def debian(path: Path, packages: str) -> Path:
    """Make a layer of these packages and all that they need, of the release that runs here."""
    sources = sorted(Path("/etc/apt/sources.list.d").glob("*.sources"))
    options = [f"--dpkgopt=path-exclude={pattern}" for pattern in EXCLUDED]
    release = Path("/etc/os-release").read_text().splitlines()
    suite = next(line for line in release if line.startswith("VERSION_CODENAME=")).split("=")[1]
    command = ["mmdebstrap", "--quiet", "--variant=extract", f"--include={packages}", *options]
    command += [suite, str(path), *map(str, sources)]
    shell.run(command, timeout=600, step="make the base image", umask=IMAGE_UMASK)
    return path


def userland(user: str, account: str) -> list[LayerEntry]:
    """Return what a Debian base lacks: a shell with a few commands, root and one more user."""
    passwd = f"root:x:0:0:root:/:/bin/sh\n{account}:x:{user}:{user}::/:/bin/sh\n"
    return [
        LayerEntry("bin/busybox", BUSYBOX),
        *(LayerEntry(f"bin/{name}", link="busybox") for name in APPLETS),
        LayerEntry("etc/passwd", text=passwd, mode=0o644),
        LayerEntry("etc/group", text=f"root:x:0:\n{account}:x:{user}:\n", mode=0o644),
        LayerEntry("etc/nsswitch.conf", text="hosts: files dns\n", mode=0o644),
    ]


def _iptables() -> list[LayerEntry]:
    # `extract` runs no package scripts, so there are no alternatives.
    return [LayerEntry(f"usr/sbin/{name}", link="xtables-nft-multi") for name in IPTABLES]


def _kubefed(tools: Toolchain) -> list[LayerEntry]:
    commands = ("controller-manager", "webhook", "kubefedctl")
    return [
        LayerEntry("hyperfed/"),
        LayerEntry("hyperfed/hyperfed", tools.bin / "hyperfed"),
        *(LayerEntry(f"hyperfed/{name}", link="hyperfed") for name in commands),
    ]


def _proxy(tools: Toolchain) -> list[LayerEntry]:
    template = tools.share / "envoy_bootstrap.json"
    return [
        _program(tools.bin / "pilot-agent"),
        LayerEntry("usr/local/bin/envoy", tools.envoy),
        LayerEntry("var/lib/istio/envoy/envoy_bootstrap_tmpl.json", template, mode=0o644),
        LayerEntry("etc/istio/", mode=0o777),
        LayerEntry("etc/istio/proxy/", mode=0o777),
    ]


def _program(path: Path) -> LayerEntry:
    return LayerEntry(f"usr/local/bin/{path.name}", path)
