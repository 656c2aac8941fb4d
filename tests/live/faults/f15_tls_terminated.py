"""A load balancer ends TLS before the gateway, with a certificate of its own."""

from live.faults import put_back
from live.faults.regions import gateway, rule, serve
from live.unkind import certified

EXPECT = "F15"
CLUSTERS = ("osaka",)
mend = put_back


PORT = 15999
SERVER = """import socket, ssl
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain({path!r})
server = socket.create_server(("0.0.0.0", {port}))
while True:
    try:
        context.wrap_socket(server.accept()[0], server_side=True).close()
    except OSError:
        pass
"""


def break_mesh(mesh):
    address = gateway(mesh, "osaka")
    certified(mesh.folder, address)
    path = mesh.folder / f"unkind-{address}.pem"
    serve(mesh, "osaka", PORT, SERVER.format(path=str(path), port=PORT))
    to = ("PREROUTING", "-d", address, "-p", "tcp", "--dport", "15443")
    rule(mesh, "osaka", *to, "-j", "REDIRECT", "--to-ports", str(PORT), table="nat")
