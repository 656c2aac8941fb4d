"""Clusters that somebody else made: taken as they are, looked at well, neither made nor deleted.

provider is the contract; preflight looks at all clusters before the first write. inspection asks
each API server, pod_probes asks from inside pods (in probe_namespace, by reachability's calls) and
with a ServiceAccount's token; what the others judge is plain data: rbac, capacity, requirements,
conflicts, addresses.
"""

from isthmus.providers.kubeconfig.provider import KubeconfigProvider

__all__ = ["KubeconfigProvider"]
