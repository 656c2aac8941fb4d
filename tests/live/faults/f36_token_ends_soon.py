"""The token in a remote secret ends within the hour."""

from live.faults import credentials, put_back

EXPECT = "F36"
CLUSTERS = ("osaka",)
mend = put_back


def break_mesh(mesh):
    moment = credentials.now()
    token = credentials.signed_token(mesh, "osaka", moment - 86400, moment + 3000)
    credentials.kubeconfig(mesh, "osaka", lambda cluster, user: user.update(token=token))
