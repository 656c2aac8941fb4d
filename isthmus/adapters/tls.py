"""One TLS handshake, to see who really answers at an address."""

import socket
import ssl

from isthmus import polling
from isthmus.step_results import join_host_port


def handshake(address: str, port: int, name: str, root: str) -> str:
    """Return nothing if `address:port` proves to be `name` by a certificate below `root` (PEM).

    Otherwise return what came back, in a few words. The limit `connect` is each one's: of the
    connection and of the handshake.
    """
    context = ssl.create_default_context(cadata=root)
    # istiod's certificate names it in a SAN; nothing of ours is presented, and none is asked for.
    limit = polling.timeouts().connect
    try:
        with (
            socket.create_connection((address, port), timeout=limit) as plain,
            context.wrap_socket(plain, server_hostname=name),
        ):
            return ""
    except (OSError, ssl.SSLError) as error:
        return f"{join_host_port(address, port)}: {error}"
