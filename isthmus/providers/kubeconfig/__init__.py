"""Clusters that somebody else made: taken as they are, looked at well, neither made nor deleted.

provider is the contract; preflight looks at all clusters before the first write. `asking` and
`probing` ask, what the others judge is plain data: rights, room, leftovers, addresses.
"""

from isthmus.providers.kubeconfig.provider import Kubeconfig

__all__ = ["Kubeconfig"]
