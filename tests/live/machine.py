"""What a lab may leave on a machine, counted: everything that it ever makes."""

import subprocess
from pathlib import Path


def lines(*command: str) -> set[str]:
    done = subprocess.run(command, text=True, capture_output=True, check=True)
    return set(done.stdout.splitlines())


def _links() -> set[str]:
    return {line.split(": ")[1].split("@")[0] for line in lines("ip", "-o", "link")}


def _rules() -> set[str]:
    return {line for line in lines("iptables-save") if line[:1] in ":-"}


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
            "cni": {str(p) for p in Path("/var/lib/cni").glob("**/*")},
            "pod log": {str(p) for p in Path("/var/log/pods").glob("*")},
        }

    def left_of(self, home: Path) -> list[str]:
        """Name everything that is there now and was not, or that lives in this home."""
        found = [
            f"{kind} {name}"
            for kind, names in self._all().items()
            for name in sorted(names - self._before[kind])
        ]
        found += [f"mount {line}" for line in _mounts("self") if str(home) in line]
        found += [f"process {p}" for p in _processes(home)]
        found += [f"folder {p}" for p in sorted((home / "environments").glob("*"))]
        return found


def _mounts(pid: str) -> list[str]:
    return Path(f"/proc/{pid}/mountinfo").read_text().splitlines()


def _processes(home: Path) -> list[str]:
    """Every process that has a region's mounts or was started from this home, the server aside."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            name = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()[:120]
            mounted = any("/run/region" in line for line in _mounts(entry.name))
            ours = f"{home}/environments" in (entry / "mountinfo").read_text()
        except OSError:
            continue
        if mounted and ours:
            found.append(f"{entry.name} {name}")
    return found
