"""What runs in a region and how each program is told what it is; paths as inside the region."""

import sys
from dataclasses import dataclass
from pathlib import Path

from isthmus.adapters import supervisord
from isthmus.providers.lab.tools import Toolchain

HOME = Path("/run/region")
"""Where the region's folder is mounted in its own mount namespace: short enough for sockets."""
PKI = HOME / "pki"
ETC = HOME / "etc"
KUBECONFIG = ETC / "kubeconfig"
FIRST_PROGRAMS = ("etcd", "apiserver", "containerd")
"""Started first; the others give up or back off if these do not answer yet."""
LATER_PROGRAMS = ("controller-manager", "scheduler", "kubelet", "kube-proxy", "load-balancer")
POD_CIDR = "10.244.0.0/16"
SERVICE_CIDR = "10.96.0.0/16"
CLUSTER_DNS = "10.96.0.10"
RUNTIME = f"unix://{HOME}/containerd.sock"
DOCKERSHIM_REMOVED_MINOR = 24
"""Minor from which a kubelet knows no other kind of container runtime (dockershim was removed)."""
ENDPOINT_IN_CONFIG_MINOR = 27
"""Minor from which its configuration file says where the runtime is."""


@dataclass(frozen=True)
class RegionNode:
    """What a region's programs must know of it."""

    cluster: str
    region: str
    address: str
    pool: list[str]


def programs(node: RegionNode, tools: Toolchain) -> dict[str, list[str]]:
    """Return the command line of every program of a region, by name."""
    return {
        "etcd": _etcd(tools.etcd),
        "apiserver": _apiserver(tools.kubernetes, node),
        "containerd": ["/usr/bin/containerd", "-c", f"{ETC}/containerd.toml"],
        "controller-manager": _controller_manager(tools.kubernetes),
        "scheduler": _with_kubeconfig(tools.kubernetes / "kube-scheduler", "--leader-elect=false"),
        "kubelet": _kubelet(tools, node),
        "kube-proxy": [str(tools.kubernetes / "kube-proxy"), f"--config={ETC}/kube-proxy.json"],
        "load-balancer": [
            sys.executable,
            str(Path(__file__).with_name("loadbalancer.py")),
            str(HOME),
            *node.pool,
        ],
    }


def supervisor_config(commands: dict[str, list[str]]) -> str:
    """Return the supervisor's configuration: everything is kept alive, logs are kept small."""
    logs = HOME / "logs"
    sections = {
        name: supervisord.program(
            command, logs / f"{name}.log", autostart=str(name in FIRST_PROGRAMS).lower()
        )
        for name, command in commands.items()
    }
    socket = f"{HOME}/supervisor.sock"
    # Its process id is 1 there, and must not be found where the machine's is meant.
    return supervisord.configuration(Path("/run"), socket, logs / "supervisor.log", sections)


def _with_kubeconfig(program: Path, *flags: str) -> list[str]:
    return [str(program), f"--kubeconfig={KUBECONFIG}", *flags]


def _etcd(program: Path) -> list[str]:
    return [
        str(program),
        f"--data-dir={HOME}/etcd",
        "--listen-client-urls=http://127.0.0.1:2379",
        "--advertise-client-urls=http://127.0.0.1:2379",
        "--listen-peer-urls=http://127.0.0.1:2380",
        "--initial-advertise-peer-urls=http://127.0.0.1:2380",
        "--initial-cluster=default=http://127.0.0.1:2380",
        # A lab survives a killed process, not a lost disk cache: fsync costs seconds of start-up.
        "--unsafe-no-fsync",
    ]


def _apiserver(bin_dir: Path, node: RegionNode) -> list[str]:
    return [
        str(bin_dir / "kube-apiserver"),
        "--etcd-servers=http://127.0.0.1:2379",
        "--secure-port=6443",
        f"--advertise-address={node.address}",
        f"--tls-cert-file={PKI}/api.crt",
        f"--tls-private-key-file={PKI}/api.key",
        f"--client-ca-file={PKI}/ca.crt",
        f"--kubelet-certificate-authority={PKI}/ca.crt",
        f"--kubelet-client-certificate={PKI}/api.crt",
        f"--kubelet-client-key={PKI}/api.key",
        "--kubelet-preferred-address-types=InternalIP",
        f"--service-account-key-file={PKI}/sa.key",
        f"--service-account-signing-key-file={PKI}/sa.key",
        "--service-account-issuer=https://kubernetes.default.svc",
        # istiod asks for tokens of its own audience.
        "--api-audiences=https://kubernetes.default.svc,api,istio-ca",
        f"--service-cluster-ip-range={SERVICE_CIDR}",
        f"--token-auth-file={PKI}/tokens.csv",
        "--authorization-mode=Node,RBAC",
        "--allow-privileged=true",
        f"--audit-policy-file={ETC}/audit.json",
        f"--audit-log-path={HOME}/logs/audit.log",
        "--audit-log-maxsize=20",
        "--audit-log-maxbackup=1",
    ]


def _controller_manager(bin_dir: Path) -> list[str]:
    return _with_kubeconfig(
        bin_dir / "kube-controller-manager",
        f"--service-account-private-key-file={PKI}/sa.key",
        f"--root-ca-file={PKI}/ca.crt",
        f"--cluster-signing-cert-file={PKI}/ca.crt",
        f"--cluster-signing-key-file={PKI}/ca.key",
        "--use-service-account-credentials",
        "--allocate-node-cidrs",
        f"--cluster-cidr={POD_CIDR}",
        "--leader-elect=false",
    )


def _kubelet(tools: Toolchain, node: RegionNode) -> list[str]:
    old = ["--container-runtime=remote"] if tools.minor < DOCKERSHIM_REMOVED_MINOR else []
    if tools.minor < ENDPOINT_IN_CONFIG_MINOR:
        old.append(f"--container-runtime-endpoint={RUNTIME}")
    labels = f"topology.kubernetes.io/region={node.region}"
    return _with_kubeconfig(
        tools.kubernetes / "kubelet",
        f"--config={ETC}/kubelet.json",
        f"--hostname-override={node.cluster}",
        f"--root-dir={HOME}/kubelet",
        f"--node-ip={node.address}",
        f"--node-labels={labels},topology.kubernetes.io/zone={node.region}-1",
        *old,
    )
