"""The token in a remote secret has expired."""

from live.faults import credentials, put_back

EXPECT = "F03"
CLUSTERS = ("osaka",)
mend = put_back


def break_mesh(mesh):
    moment = credentials.now()
    token = credentials.signed_token(mesh, "osaka", moment - 7200, moment - 600)
    credentials.kubeconfig(mesh, "osaka", lambda cluster, user: user.update(token=token))
