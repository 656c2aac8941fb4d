"""One region's life: its folder, its supervisor as process 1 of its own namespaces, its end."""

import os
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from xmlrpc.client import Fault, ServerProxy

from isthmus import polling, state
from isthmus.adapters import subprocess_env, supervisord
from isthmus.errors import NotReady
from isthmus.providers.lab import cgroups, components, configuration, network, pki
from isthmus.providers.lab.images import copy_golden
from isthmus.providers.lab.tools import Toolchain

# /run is the region's own, so locks, sockets and pod namespaces end with it; /var is the machine's
# below and the region's above, so that no file is left in /var/lib/cni or /var/log/containers.
ENTER = """set -e
mount -t tmpfs -o mode=755 isthmus /run
mkdir -p /run/region /run/upper /run/work /run/lock
mount --bind "$1" /run/region
mount -t overlay -o lowerdir=/var,upperdir=/run/upper,workdir=/run/work overlay /var
exec "$2" -m supervisor.supervisord -n -c /run/region/etc/supervisord.conf
"""


@dataclass(frozen=True)
class Region:
    """A cluster of the lab: where its folder is and which addresses are its own."""

    cluster: str
    label: str
    index: int
    folder: Path
    network: network.LabNetwork

    @property
    def server(self) -> str:
        """URL of the API server, reachable from this machine and from every region."""
        return f"https://{self.network.node(self.index)}:6443"

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig."""
        return self.folder / "kubeconfig"

    @property
    def cgroup(self) -> str:
        """Parent of the pods' control groups."""
        return f"/{self.network.namespace(self.cluster)}"


def prepare(region: Region, tools: Toolchain, golden: Path) -> None:
    """Make the region's folder hold keys, configuration and images; what is there stays."""
    for name in ("etc/cni", "logs", "volume-plugins", "podlogs"):
        (region.folder / name).mkdir(parents=True, exist_ok=True, mode=0o700)
    keys = region.folder / "pki"
    pki.ensure_pki(keys, region.network.node(region.index))
    if not (region.folder / "containerd").exists():
        part = region.folder / "containerd.part"
        shutil.rmtree(part, ignore_errors=True)
        copy_golden(golden, part)
        part.rename(region.folder / "containerd")
    state.write_private(region.kubeconfig, _kubeconfig(region, "admin"))
    state.write_private(region.folder / "etc/kubeconfig", _kubeconfig(region, "region"))
    _configure(region, tools)


def start(region: Region) -> int:
    """Make the region's supervisor run, and return its process id as seen from the machine."""
    if running := find_supervisor(region):
        return running
    (region.folder / "supervisor.sock").unlink(missing_ok=True)
    cgroups.remove(region.cgroup[1:], region.folder)  # of a life that a power cut ended
    inside = f"--net={network.NETNS / region.network.namespace(region.cluster)}"
    spaces = ["--mount", "--propagation=slave", "--pid", "--fork", "--kill-child", "--mount-proc"]
    script = ["sh", "-c", ENTER, "region", str(region.folder), sys.executable]
    with (region.folder / "logs/start.log").open("ab") as log:
        subprocess.Popen(
            ["nsenter", inside, "unshare", *spaces, *script],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            cwd="/",
            # It outlives the run: neither its password nor a shell's proxy goes with it.
            env=subprocess_env.for_region(),
            # A worker's own is 077, and pods could not read the layers that are unpacked for them.
            umask=0o022,
        )
    return polling.until(
        lambda: find_supervisor(region) if (region.folder / "supervisor.sock").exists() else None,
        f"the supervisor to start (log: {region.folder}/logs/start.log)",
        timeout=20,
        interval=0.05,
        cluster=region.cluster,
    )


def start_programs(region: Region, names: list[str]) -> None:
    """Make these programs of the region run, those that run already aside."""
    control = _control(region)
    for name in names:
        try:
            supervisord.start_program(control, name)
        except Fault as fault:
            raise NotReady(f"{name}: {fault.faultString}", cluster=region.cluster) from fault


def stop(region: Region) -> None:
    """End every process of the region, pods included, and with them its mounts."""
    pid = find_supervisor(region)
    if pid is not None:
        os.kill(pid, signal.SIGKILL)
        polling.until(
            lambda: True if has_ended(pid) else None,
            "the region's processes to end",
            timeout=30,
            interval=0.05,
            cluster=region.cluster,
        )


def has_ended(pid: int) -> bool:
    """Tell whether a process is over; of a namespace's first one, so is all else in there then.

    It loses its root and its folder before it ends the others: pid_namespaces(7), and the kernel's
    do_exit, which calls exit_fs before exit_notify and that zap_pid_ns_processes.
    """
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return True
    return status.rpartition(")")[2].split()[0] in "ZX"


def remove(region: Region) -> None:
    """Leave nothing of the region: no process, mount, namespace, cable, control group or folder."""
    stop(region)
    network.disconnect(region.network, region.cluster, region.index)
    cgroups.remove(region.cgroup[1:], region.folder)
    if region.folder.exists():
        _delete(region)


def _delete(region: Region) -> None:
    try:
        shutil.rmtree(region.folder)
    except OSError as error:
        text = f"cannot delete {error.filename}: {error.strerror}"
        hint = "end what uses it, then again: isthmus down"
        raise NotReady(text, cluster=region.cluster, step="delete region", hint=hint) from None


def find_supervisor(region: Region) -> int | None:
    """Find the region's process 1 by what it sees as its folder; no file has to be believed."""
    if not region.folder.exists():
        return None
    home = region.folder.stat()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and _is_init_of(entry, home):
            return int(entry.name)
    return None


def _is_init_of(process: Path, home: os.stat_result) -> bool:
    try:
        status = (process / "status").read_text()
        spaces = next(line for line in status.splitlines() if line.startswith("NSpid:")).split()
        if len(spaces) < 3 or spaces[-1] != "1":
            return False
        return os.path.samestat((process / "root/run/region").stat(), home)
    except (OSError, StopIteration):
        return False


def _control(region: Region) -> ServerProxy:
    # Through the process's own root: the path from outside may be too long for a socket.
    return supervisord.rpc_client(
        f"/proc/{find_supervisor(region)}/root/run/region/supervisor.sock"
    )


def _kubeconfig(region: Region, account: str) -> str:
    keys = region.folder / "pki"
    authority, token = (keys / "ca.crt").read_bytes(), (keys / f"{account}.token").read_text()
    return configuration.kubeconfig(region.cluster, region.server, authority, token)


def _configure(region: Region, tools: Toolchain) -> None:
    node = components.RegionNode(
        cluster=region.cluster,
        region=region.label,
        address=region.network.node(region.index),
        pool=region.network.pool(region.index),
    )
    texts = configuration.files(region.cgroup, region.cluster, tools.minor)
    texts["supervisord.conf"] = components.supervisor_config(components.programs(node, tools))
    for name, text in texts.items():
        state.write_private(region.folder / "etc" / name, text)
