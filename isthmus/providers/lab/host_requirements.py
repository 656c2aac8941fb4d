"""What a machine must have to carry the lab: asked of this one, and never changed here.

Standard library only: `make` asks this (scripts/lacking.py) before anything is installed.
"""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

GB = 1_000_000_000
REGION_MEMORY_BYTES = int(1.2 * GB)
"""Bytes for one region at work: its programs take 0.3 GB, istiod, gateway and sample the rest."""
BASE_MEMORY_BYTES = GB
"""Bytes for Prefect's server, the run itself and what the machine needs to stay well."""
REGION_DISK_BYTES = GB
"""Bytes that a region writes: etcd, logs, writable layers; its images are links."""
BASE_DISK_BYTES = 2 * GB
"""Bytes for the images, made once, and Prefect's database."""
FIRST_BUILD_DISK_BYTES = 10 * GB
"""Bytes of a first compilation: modules 2.6 GB, Go's build cache 6.1, programs 0.95."""
PACKAGES = {
    "containerd": "containerd",
    "ctr": "containerd",
    "runc": "runc",
    "conntrack": "conntrack",
    "iptables": "iptables",
    "ip": "iproute2",
    "nsenter": "util-linux",
    "unshare": "util-linux",
    "mount": "mount",
    "mmdebstrap": "mmdebstrap",
    "/bin/busybox": "busybox-static",
    "/usr/lib/cni/bridge": "containernetworking-plugins",
    "/usr/lib/cni/host-local": "containernetworking-plugins",
    "/usr/lib/cni/portmap": "containernetworking-plugins",
    "/etc/ssl/certs/ca-certificates.crt": "ca-certificates",
}
"""Programs and files, and the Debian packages that have them."""
FOLDERS = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")
"""Where programs are looked for besides PATH, which after `su` or in cron lacks some."""


@dataclass(frozen=True)
class MissingRequirement:
    """One thing that is missing, and what a person does about it."""

    problem: str
    remedy: str

    def __str__(self) -> str:
        """Return two lines of a list for a person."""
        return f"- {self.problem}\n    {self.remedy}"


def missing_privileges() -> list[MissingRequirement]:
    """Find what this process may not do: namespaces and network links need root on Linux."""
    if sys.platform != "linux":
        return [
            MissingRequirement(
                "not Linux: the lab is made of Linux namespaces", "use a Linux machine"
            )
        ]
    if os.geteuid() != 0:
        return [
            MissingRequirement(
                "not root: namespaces, mounts and links need it", "run it again with sudo"
            )
        ]
    if _which("unshare") and _which("ip"):
        asked = ["unshare", "--net", "--mount", "--pid", "--fork", "ip", "link", "set", "lo", "up"]
        done = subprocess.run(asked, capture_output=True, text=True, env={"PATH": _path()})
        if done.returncode:
            why = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
            do = "in a container: give it CAP_SYS_ADMIN and CAP_NET_ADMIN (docker run --privileged)"
            return [MissingRequirement(f"root, but not permitted to create namespaces ({why})", do)]
    return []


def missing_kernel_features(
    home: Path, cgroups: Path = Path("/sys/fs/cgroup")
) -> list[MissingRequirement]:
    """Find what the kernel does not offer: control groups to write to, overlays on this disk."""
    lacks = []
    unified = (cgroups / "cgroup.controllers").exists()
    needed = [cgroups] if unified else [cgroups / name for name in ("cpu", "memory", "pids")]
    if not all(_is_writable(path) for path in needed):
        do = "mount cgroups writable; in a container: --privileged --cgroupns=private"
        lacks.append(MissingRequirement(f"no writable cgroups below {cgroups}", do))
    if not _has_overlay():
        lacks.append(MissingRequirement("the kernel has no overlayfs", "modprobe overlay"))
    if filesystem(home) == "overlay":
        do = "name a folder on a real disk: ISTHMUS_HOME=… ISTHMUS_CACHE=…"
        lacks.append(
            MissingRequirement(f"{home} is on overlayfs, which is not supported as upperdir", do)
        )
    return lacks


def missing_packages() -> list[str]:
    """Return the Debian packages, sorted, of all programs and files that are not here."""
    return sorted({package for name, package in PACKAGES.items() if not _is_installed(name)})


def missing_programs() -> list[MissingRequirement]:
    """Find the programs that are not installed."""
    lacks: list[MissingRequirement] = []
    if packages := missing_packages():
        names = [
            n for n, package in PACKAGES.items() if package in packages and not _is_installed(n)
        ]
        do = f"apt-get update && apt-get install -y {' '.join(packages)}"
        lacks.append(MissingRequirement(f"not installed: {', '.join(names)}", do))
    return lacks


def disk_shortages(
    home: Path, cache: Path, new_regions: int, cold: bool
) -> list[MissingRequirement]:
    """Find where the disks are too small; `cold`: a toolchain has to be compiled from nothing."""
    in_home = BASE_DISK_BYTES + new_regions * REGION_DISK_BYTES if new_regions else 0
    in_cache = FIRST_BUILD_DISK_BYTES if cold else 0
    if device(home) == device(cache):
        return _disk_shortage(home, in_home + in_cache)
    return _disk_shortage(home, in_home) + _disk_shortage(
        cache, in_cache + (BASE_DISK_BYTES if new_regions else 0)
    )


def noexec(variable: str, path: Path) -> list[MissingRequirement]:
    """Find whether no program can run in the folder that the variable names, if one does."""
    if not os.statvfs(existing(path)).f_flag & os.ST_NOEXEC:
        return []
    other = f"name another folder: {variable}=…" if variable else "install Isthmus on another disk"
    do = f"mount it without noexec, or {other}"
    return [
        MissingRequirement(f"{path} lies on a file system where no program may run (noexec)", do)
    ]


def memory_shortage(new_regions: int) -> list[MissingRequirement]:
    """Find whether so many more regions fit into the memory that is free."""
    needed = BASE_MEMORY_BYTES + new_regions * REGION_MEMORY_BYTES if new_regions else 0
    if (free := available_memory()) >= needed:
        return []
    what = f"memory: {free / GB:.1f} GB available, {needed / GB:.1f} GB needed"
    do = "end other programs or environments (isthmus down NAME), or ask for fewer clusters"
    return [MissingRequirement(f"{what} for {new_regions} regions", do)]


def available_memory(meminfo: Path = Path("/proc/meminfo")) -> int:
    """Return the bytes that programs can still have without swapping, as the kernel counts them."""
    rows = dict(line.split(":", 1) for line in meminfo.read_text().splitlines())
    return int(rows["MemAvailable"].split()[0]) * 1024


def free_disk(path: Path) -> int:
    """Return the bytes free where `path` is or would be."""
    return shutil.disk_usage(existing(path)).free


def device(path: Path) -> int:
    """Return the number of the file system where `path` is or would be."""
    return existing(path).stat().st_dev


def existing(path: Path) -> Path:
    """Return `path`, or the closest folder above it that exists."""
    return path if path.exists() else existing(path.parent)


def filesystem(path: Path, mounts: Path = Path("/proc/self/mounts")) -> str:
    """Return the kind of file system where `path` is or would be."""
    rows = [line.split() for line in mounts.read_text().splitlines()]
    place = existing(path).resolve()
    above = [row for row in rows if place.is_relative_to(row[1])]
    return max(above, key=lambda row: len(row[1]))[2] if above else "unknown"


def _disk_shortage(path: Path, needed: int) -> list[MissingRequirement]:
    if (free := free_disk(path)) >= needed:
        return []
    what = f"disk: {free / GB:.1f} GB free at {path}, {needed / GB:.1f} GB needed"
    return [
        MissingRequirement(what, "free space, or name another disk: ISTHMUS_HOME=… ISTHMUS_CACHE=…")
    ]


def _has_overlay() -> bool:
    if "\toverlay\n" in Path("/proc/filesystems").read_text():
        return True
    modules = Path("/lib/modules") / os.uname().release
    return any(modules.glob("kernel/fs/overlayfs/*"))


def _is_writable(path: Path) -> bool:
    # Who is not root is told that alone.
    return path.exists() and (os.geteuid() != 0 or os.access(path, os.W_OK))


def _is_installed(name: str) -> bool:
    if name == "/bin/busybox":
        return _is_static(Path(name))
    return Path(name).exists() if "/" in name else bool(_which(name))


def _which(name: str) -> str | None:
    return shutil.which(name, path=_path())


def _path() -> str:
    return os.pathsep.join([os.environ.get("PATH", ""), *FOLDERS])


def _is_static(program: Path) -> bool:
    # Debian's package busybox has the same file, but one that needs libraries an image lacks.
    try:
        with program.open("rb") as file:
            return b"/ld-" not in file.read(4096)
    except OSError:
        return False
