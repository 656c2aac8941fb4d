"""A remote secret trusts another CA than that of the API server."""

from live.faults import credentials, put_back

EXPECT = "F06"
CLUSTERS = ("lisbon", "osaka")
mend = put_back


def break_mesh(mesh):
    other = credentials.cacerts(mesh, "osaka", same_root=False)["root-cert.pem"]
    changed = {"certificate-authority-data": other}
    credentials.kubeconfig(mesh, "osaka", lambda cluster, user: cluster.update(changed))
