"""What is in each of the lab's images. All with a shell share one Debian layer."""

from pathlib import Path

from isthmus.adapters import shell
from isthmus.providers.lab.images import names
from isthmus.providers.lab.images.archive import Entry, Image, write_layer
from isthmus.providers.lab.tools import Toolchain

BUSYBOX = Path("/bin/busybox")
PACKAGES = "iptables,curl,python3-minimal,libpython3-stdlib"
EXCLUDED = [f"/usr/share/{part}/*" for part in ("doc", "man", "locale", "info")]
APPLETS = "sh sleep ls cat id hostname env ps kill grep nc mkdir chmod seq wc".split()
IPTABLES = [f"{ip}tables{suffix}" for ip in ("ip", "ip6") for suffix in ("", "-save", "-restore")]
FOREVER = "2147483647"
"""Seconds; busybox takes no `infinity`."""
READABLE = 0o022
"""Umask of what makes images: pods run as users of their own, whatever this process's umask is."""
PROXY_USER = "1337"
"""The user whose traffic Istio's iptables rules leave alone (istio/tools/istio-iptables)."""


def build(folder: Path, tools: Toolchain) -> list[Image]:
    """Make every layer in `folder` and return the images that lie on them."""
    links = write_layer(folder / "links.tar", [*userland(PROXY_USER, "istio-proxy"), *_iptables()])
    base = [debian(folder / "debian.tar", PACKAGES), links]

    def layer(name: str, *entries: Entry) -> Path:
        return write_layer(folder / f"{name}.tar", entries)

    hello = layer(
        "hello", Entry("app/"), Entry("app/hello.py", Path(__file__).with_name("hello.py"))
    )
    pilot = layer("pilot", _program(tools.bin / "pilot-discovery"))
    return [
        Image(
            names.PAUSE,
            [layer("pause", Entry("busybox", BUSYBOX))],
            ["/busybox", "sleep", FOREVER],
        ),
        Image(
            names.COREDNS, [layer("coredns", Entry("coredns", tools.bin / "coredns"))], ["/coredns"]
        ),
        Image(names.KUBEFED, [layer("kubefed", *_kubefed(tools))], user="1001"),
        Image(names.CALLER, base, ["/bin/sleep", FOREVER]),
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
    shell.run(command, timeout=600, step="make the base image", umask=READABLE)
    return path


def userland(user: str, account: str) -> list[Entry]:
    """Return what a Debian base lacks: a shell with a few commands, root and one more user."""
    passwd = f"root:x:0:0:root:/:/bin/sh\n{account}:x:{user}:{user}::/:/bin/sh\n"
    return [
        Entry("bin/busybox", BUSYBOX),
        *(Entry(f"bin/{name}", link="busybox") for name in APPLETS),
        Entry("etc/passwd", text=passwd, mode=0o644),
        Entry("etc/group", text=f"root:x:0:\n{account}:x:{user}:\n", mode=0o644),
        Entry("etc/nsswitch.conf", text="hosts: files dns\n", mode=0o644),
    ]


def _iptables() -> list[Entry]:
    # `extract` runs no package scripts, so there are no alternatives.
    return [Entry(f"usr/sbin/{name}", link="xtables-nft-multi") for name in IPTABLES]


def _kubefed(tools: Toolchain) -> list[Entry]:
    commands = ("controller-manager", "webhook", "kubefedctl")
    return [
        Entry("hyperfed/"),
        Entry("hyperfed/hyperfed", tools.bin / "hyperfed"),
        *(Entry(f"hyperfed/{name}", link="hyperfed") for name in commands),
    ]


def _proxy(tools: Toolchain) -> list[Entry]:
    template = tools.share / "envoy_bootstrap.json"
    return [
        _program(tools.bin / "pilot-agent"),
        Entry("usr/local/bin/envoy", tools.envoy),
        Entry("var/lib/istio/envoy/envoy_bootstrap_tmpl.json", template, mode=0o644),
        Entry("etc/istio/", mode=0o777),
        Entry("etc/istio/proxy/", mode=0o777),
    ]


def _program(path: Path) -> Entry:
    return Entry(f"usr/local/bin/{path.name}", path)
