"""Whether the tokens of a cluster's ServiceAccounts log in where other clusters will find it.

istiod and KubeFed come with one. A proxy that knows its own accounts alone refuses it: Rancher's
does, unless it was told otherwise (rancher pkg/auth/requests/service_account.go).
"""

from isthmus.adapters import cross_cluster_access, kubeconfigs
from isthmus.errors import BadEnvironment
from isthmus.providers.kubeconfig import probe_namespace
from isthmus.providers.kubeconfig.inspection import ClusterInspection


def check(sight: ClusterInspection) -> None:
    """Raise BadEnvironment if the API server refuses an account of its own at that address.

    The token is of the kind that the mesh will use, of an account without rights, and ends with the
    probe's namespace.
    """
    client = probe_namespace.client_of(sight)
    found = cross_cluster_access.await_token(client, "login", probe_namespace.NAMESPACE, "default")
    token = found["token"]
    if said := cross_cluster_access.token_login_error(client.access, token, sight.cluster_ca):
        raise BadEnvironment(
            f"{sight.server} rejects a token of its ServiceAccounts ({said}), and istiod logs in "
            "with one",
            cluster=sight.cluster.name,
            hint="take a context that leads to the API server itself, in Rancher that of the "
            f"authorized cluster endpoint ({kubeconfigs.get_contexts_command(client.access)}); "
            "or set `server: https://ADDRESS:PORT` to the API server's own; or have the proxy "
            "take such tokens (Rancher 2.9 and later: JWT authentication of the cluster)",
        )
