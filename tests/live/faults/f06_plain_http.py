"""A remote secret leads to http:// where the API server speaks TLS."""

from live.faults import credentials, put_back
from live.faults.regions import node

EXPECT = "F06"
CLUSTERS = ("lisbon", "osaka")
mend = put_back


def break_mesh(mesh):
    url = f"http://{node(mesh, 'osaka')}:6443"
    credentials.kubeconfig(mesh, "osaka", lambda cluster, user: cluster.update(server=url))
