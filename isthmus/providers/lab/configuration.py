"""The files that a region's programs read, as data."""

import base64
import json
from typing import Any

from isthmus.providers.lab.components import (
    CLUSTER_DNS,
    ENDPOINT_IN_CONFIG_MINOR,
    ETC,
    HOME,
    KUBECONFIG,
    PKI,
    POD_CIDR,
    RUNTIME,
)
from isthmus.providers.lab.images import names

POD_SUBNET = "10.244.0.0/24"
KUBELET_KEY_MINORS = {
    "localStorageCapacityIsolation": 25,
    "containerRuntimeEndpoint": ENDPOINT_IN_CONFIG_MINOR,
    "podLogsDir": 29,
    "failCgroupV1": 31,
}
"""Minor of Kubernetes since which a kubelet knows a key (pkg/kubelet/apis/config of its tags).

Before podLogsDir the logs are in /var/log/pods, and /var is each region's own.
"""


def kubeconfig(cluster: str, server: str, ca: bytes, token: str) -> str:
    """Return an administrator's kubeconfig with one context, named as the cluster."""
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": cluster,
            "clusters": [
                {
                    "name": cluster,
                    "cluster": {
                        "server": server,
                        "certificate-authority-data": base64.b64encode(ca).decode(),
                    },
                }
            ],
            "users": [{"name": cluster, "user": {"token": token}}],
            "contexts": [{"name": cluster, "context": {"cluster": cluster, "user": cluster}}],
        },
        indent=1,
    )


def files(cgroup: str, cluster: str, minor: int) -> dict[str, str]:
    """Return the configuration files below `etc/`, by name."""
    documents: dict[str, Any] = {
        "audit.json": AUDIT,
        "kubelet.json": kubelet(cgroup, minor),
        "kube-proxy.json": kube_proxy(cluster),
        "cni/10-bridge.conflist": CNI,
    }
    texts = {name: json.dumps(value, indent=1) for name, value in documents.items()}
    return texts | {"containerd.toml": CONTAINERD}


def kubelet(cgroup: str, minor: int) -> dict[str, Any]:
    """Return the kubelet's configuration; several kubelets share one machine."""
    whole = {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": False},
            "x509": {"clientCAFile": f"{PKI}/ca.crt"},
        },
        # Only the region's own CA signs clients, and the API server alone has such a certificate.
        "authorization": {"mode": "AlwaysAllow"},
        "tlsCertFile": f"{PKI}/kubelet.crt",
        "tlsPrivateKeyFile": f"{PKI}/kubelet.key",
        "containerRuntimeEndpoint": RUNTIME,
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": cgroup,
        "cgroupsPerQOS": False,
        "enforceNodeAllocatable": [],
        "failCgroupV1": False,
        "failSwapOn": False,
        "localStorageCapacityIsolation": False,
        "evictionHard": {"nodefs.available": "1%", "imagefs.available": "1%"},
        "imageGCHighThresholdPercent": 100,
        "clusterDNS": [CLUSTER_DNS],
        "clusterDomain": "cluster.local",
        "podCIDR": POD_SUBNET,
        "podLogsDir": f"{HOME}/podlogs",
        "volumePluginDir": f"{HOME}/volume-plugins",
        "readOnlyPort": 0,
        "registryPullQPS": 0,
        "eventRecordQPS": 0,
    }
    known = {key: value for key, value in whole.items() if minor >= KUBELET_KEY_MINORS.get(key, 0)}
    if "localStorageCapacityIsolation" not in known:
        known["featureGates"] = {"LocalStorageCapacityIsolation": False}
    return known


def kube_proxy(cluster: str) -> dict[str, Any]:
    """Return kube-proxy's configuration; it must not touch the machine's own conntrack limits."""
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "iptables",
        "clientConnection": {"kubeconfig": str(KUBECONFIG)},
        "clusterCIDR": POD_CIDR,
        "hostnameOverride": cluster,
        "iptables": {"minSyncPeriod": "100ms"},
        "conntrack": {
            "maxPerCore": 0,
            "min": 0,
            "tcpEstablishedTimeout": "0s",
            "tcpCloseWaitTimeout": "0s",
        },
    }


AUDIT = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [
        {"level": "None", "users": ["system:apiserver"]},
        {"level": "Metadata", "verbs": ["create", "update", "patch", "delete", "deletecollection"]},
        {"level": "None"},
    ],
}

CNI = {
    "cniVersion": "0.4.0",
    "name": "region",
    "plugins": [
        {
            "type": "bridge",
            "bridge": "cni0",
            "isGateway": True,
            "ipMasq": True,
            "hairpinMode": True,
            "ipam": {
                "type": "host-local",
                # With the region's process, as a reboot does: its pods are gone then.
                "dataDir": "/run/ipam",
                "ranges": [[{"subnet": POD_SUBNET}]],
                "routes": [{"dst": "0.0.0.0/0"}],
            },
        },
        {"type": "portmap", "capabilities": {"portMappings": True}},
    ],
}

# restrict_oom_score_adj: without CAP_SYS_RESOURCE every sandbox fails otherwise.
# state below /run: a region that was killed starts with none, as a machine after a reboot.
CONTAINERD = f"""version = 2
root = "{HOME}/containerd"
state = "/run/containerd-state"
[grpc]
  address = "{HOME}/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  restrict_oom_score_adj = true
  sandbox_image = "{names.PAUSE}"
  stream_server_address = "127.0.0.1"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "{ETC}/cni"
"""
