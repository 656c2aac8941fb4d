"""A remote secret leads to 127.0.0.1, as kind and Rancher write it."""

from live.faults import credentials, put_back

EXPECT = "F06"
CLUSTERS = ("lisbon", "osaka")
mend = put_back


def break_mesh(mesh):
    url = "https://127.0.0.1:6443"
    credentials.kubeconfig(mesh, "osaka", lambda cluster, user: cluster.update(server=url))
