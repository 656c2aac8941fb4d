"""From pinned Go modules to programs, with a count of what is left to compile."""

import hashlib
import platform
import shutil
from collections.abc import Callable
from pathlib import Path

from isthmus import events, state
from isthmus.adapters import golang
from isthmus.adapters.golang import Go, GoFailed
from isthmus.errors import Unprepared
from isthmus.providers.lab import host_requirements
from isthmus.providers.lab.toolchain.compile_errors import explained

SOURCES = Path(__file__).parent
STACK = "istio-1.31"
"""The stack whose programs these are."""
KUBERNETES = "1.36.3"
"""What the programs call themselves: without it Helm refuses charts and istioctl warns."""
STAMPS = {"gitVersion": f"v{KUBERNETES}", "gitMajor": "1", "gitMinor": "36"}
LDFLAGS = " ".join(
    ["-s -w", *(f"-X k8s.io/component-base/version.{k}={v}" for k, v in STAMPS.items())]
)
MODULES: dict[str, list[str]] = {".": ["-ldflags", LDFLAGS], "kubefed": []}
"""Folders with a go.mod, and the flags that their programs are built with."""
OWN = {".": ["coredns/main.go"]}
"""Programs of our own in a module: files that change what comes out."""
STALE_TEMPLATE = (
    '{{if .Stale}}{{if ne .StaleReason "not installed but available in build cache"}}'
    "{{.Standard}} {{.ImportPath}}\n{{end}}{{end}}"
)
"""Of `go list -deps`: what Go's build cache does not have, so what `go build -v` will print."""
SHARED = (
    (".", "istio.io/istio", "tools/packaging/common/envoy_bootstrap.json", "envoy_bootstrap.json"),
    ("kubefed", "sigs.k8s.io/kubefed", "charts/kubefed", "kubefed-chart"),
)
"""What is copied out of which module, and what it is called here."""
PACKAGE_BYTES = 1_150_000
"""Bytes that a compiled package takes in Go's build cache (6.1 GB for 5345 of them)."""
PROGRAMS_BYTES = 1_500_000_000
"""Bytes of all programs (0.95 GB) and of the largest two being linked."""


def key() -> str:
    """Return what changes whenever the programs would: sources, flags, kind of processor."""
    digest = hashlib.sha256(f"{MODULES} {platform.machine()}".encode())
    for module in MODULES:
        for name in ("go.mod", "go.sum", *OWN.get(module, ())):
            digest.update((SOURCES / module / name).read_bytes())
    return digest.hexdigest()[:16]


def installed_go() -> Path:
    """Return the folder where a Go of our own is, or would be put."""
    return state.cache() / "go"


class PackageCount:
    """How many packages are compiled; goes up only, and reaches the whole at the end."""

    def __init__(self, left: dict[str, set[str]]) -> None:
        self._left = left
        self._total = sum(len(packages) for packages in left.values())
        self._report()

    def count_line(self, line: str) -> None:
        """Count the package if the line names one that was left."""
        for packages in self._left.values():
            if line in packages:
                packages.remove(line)
                return self._report()

    def finished(self, module: str) -> None:
        """Count the module as done, whatever Go printed or did not."""
        self._left[module].clear()
        self._report()

    def _report(self) -> None:
        left = sum(len(packages) for packages in self._left.values())
        done = self._total - left
        text = f"compiling {done} of {self._total} packages" if left else "linking programs"
        events.report_progress(text, done / self._total if self._total else None)


def _fetching(line: str) -> None:
    if line.startswith("go: downloading "):
        events.report_progress(f"fetching modules: {line.removeprefix('go: downloading ')}")


def _ignore(line: str) -> None:
    pass


class ToolchainBuilder:
    """The steps of a build, each safe to repeat."""

    def __init__(self, go: Go, target: Path) -> None:
        self._go = go
        self._target = target
        self.scratch = target / "tmp"
        # What a killed build left; the machine's own folder for such things would keep it.
        shutil.rmtree(self.scratch, ignore_errors=True)
        self.scratch.mkdir()
        (target / "bin").mkdir(exist_ok=True)

    def fetch(self) -> dict[str, set[str]]:
        """Fetch what is not here and return each module's packages that have to be compiled."""
        found: dict[str, set[str]] = {}
        standard: set[str] = set()
        events.report_progress("fetching modules")
        for module, flags in MODULES.items():
            args = ["list", "-deps", "-trimpath", *flags, "-f", STALE_TEMPLATE, "tool"]
            rows = [line.split() for line in self._run(args, module, _fetching).splitlines()]
            found[module] = {row[1] for row in rows if row} - standard
            standard |= {row[1] for row in rows if row and row[0] == "true"}
        return found

    def check_disk_space(self, packages: int) -> None:
        """Raise Unprepared if the disk cannot take what that many packages become."""
        cache = host_requirements.existing(Path(self._run(["env", "GOCACHE"], ".").strip()))
        needed = {cache: packages * PACKAGE_BYTES, self._target: PROGRAMS_BYTES}
        if cache.stat().st_dev == self._target.stat().st_dev:
            needed = {self._target: sum(needed.values())}
        for folder, size in needed.items():
            free = shutil.disk_usage(folder).free
            if free < size:
                raise Unprepared(
                    f"{folder}: {free / 1e9:.1f} GB free, {size / 1e9:.1f} GB needed to compile",
                    hint="free space, or use other disks: ISTHMUS_CACHE, GOCACHE; then run again",
                )

    def compile(self, count: PackageCount) -> None:
        """Make all programs exist in bin."""
        for module, flags in MODULES.items():
            out = str(self._target / "bin")
            build = ["build", "-trimpath", "-v", *flags, "-o", out, "tool"]
            self._run(build, module, count.count_line)
            count.finished(module)
        # One program that looks at the name by which it is called.
        name = self._target / "bin/kubefedctl"
        name.unlink(missing_ok=True)
        name.symlink_to("hyperfed")

    def share(self) -> None:
        """Make share hold what Istio and KubeFed ship beside their programs, writable."""
        target = self._target / "share"
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir()
        for module, name, path, copy in SHARED:
            source = self._run(["list", "-m", "-f", "{{.Dir}}", name], module).strip()
            _copy(Path(source) / path, target / copy)

    def _run(self, args: list[str], module: str, heard: Callable[[str], None] = _ignore) -> str:
        try:
            return self._go.run(args, cwd=SOURCES / module, scratch=self.scratch, heard=heard)
        except GoFailed as failure:
            raise explained(args[0], failure) from failure


def compile_all(target: Path) -> None:
    """Make `target` hold bin and share, whole; what Go's build cache has is not compiled again.

    Raises Unprepared for a missing Go, a failed download, a full disk; Rejected for the compiler.
    """
    events.report_progress("looking for Go")
    builder = ToolchainBuilder(golang.ensure(installed_go(), SOURCES / "go.lock"), target)
    left = builder.fetch()
    builder.check_disk_space(sum(len(packages) for packages in left.values()))
    builder.compile(PackageCount(left))
    builder.share()
    shutil.rmtree(builder.scratch)


def _copy(source: Path, target: Path) -> None:
    # Contents only: in Go's module cache everything is read-only.
    if source.is_file():
        shutil.copyfile(source, target)
        return
    target.mkdir()
    for entry in source.iterdir():
        _copy(entry, target / entry.name)
