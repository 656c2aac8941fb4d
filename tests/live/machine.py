"""What a lab may leave on a machine, counted: everything that it ever makes."""

import re
import subprocess
from pathlib import Path

from isthmus.providers.lab.network import _identity

NAMES = ("three-seas", "ruin", "half", "bare", "shore", "delta")
"""The environments that live tests make."""


def lines(*command: str) -> set[str]:
    done = subprocess.run(command, text=True, capture_output=True, check=True)
    return set(done.stdout.splitlines())


def _links() -> set[str]:
    return {line.split(": ")[1].split("@")[0] for line in lines("ip", "-o", "link")}


def _rules() -> set[str]:
    return {line for line in lines("iptables-save") if line[:1] in ":-"}


def _deserted() -> set[str]:
    """Return the control groups of containers in which no process is any more."""
    root = Path("/sys/fs/cgroup")
    found = [*root.glob("k8s.io/*/cgroup.procs"), *root.glob("*/k8s.io/*/cgroup.procs")]
    return {str(path.parent) for path in found if not path.read_text()}


class Machine:
    """A machine as it is now; later it can tell what was added."""

    def __init__(self) -> None:
        self._before = self._all()

    @staticmethod
    def _all() -> dict[str, set[str]]:
        return {
            "namespace": {p.name for p in Path("/run/netns").glob("*")},
            "link": _links(),
            "iptables rule": {rule.split(" [")[0] for rule in _rules()},
            "cgroup": {str(p) for p in Path("/sys/fs/cgroup").glob("**/isthmus-*")},
            "container's cgroup": _deserted(),
            "cni": {str(p) for p in Path("/var/lib/cni").glob("**/*")},
            "pod log": {str(p) for p in Path("/var/log/pods").glob("*")},
        }

    def left_of(self, folder: Path) -> list[str]:
        """Name everything that is there now and was not, or that lives in this folder."""
        ours = _identities(folder)
        found = [
            f"{kind} {name}"
            for kind, names in self._all().items()
            for name in sorted(names - self._before[kind])
            if not _is_anothers(name, ours)
        ]
        found += [f"mount {line}" for line in _mounts("self") if str(folder) in line]
        found += [f"process {p}" for p in _processes(folder)]
        found += [f"folder {p}" for p in sorted(folder.glob("*"))]
        return found


def _identities(folder: Path) -> set[str]:
    """Return the marks of this folder's labs, those that are gone included."""
    return {_identity(folder), *(_identity(folder / name) for name in NAMES)}


def _is_anothers(name: str, ours: set[str]) -> bool:
    """Tell whether a lab beside the tests', a person's or a bench's, came up meanwhile."""
    marks = re.findall(r"isth(?:mus)?-([0-9a-f]{6})", name)
    return bool(marks) and marks[-1] not in ours


def _mounts(pid: str) -> list[str]:
    return Path(f"/proc/{pid}/mountinfo").read_text().splitlines()


def _processes(folder: Path) -> list[str]:
    """Every process that has a mount of this folder, as a region's have and its pods'."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and any(str(folder) in line for line in _mounts(entry.name)):
                name = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()[:120]
                found.append(f"{entry.name} {name}")
        except OSError:
            continue  # it ended meanwhile
    return found
