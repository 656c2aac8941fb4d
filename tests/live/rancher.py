"""A proxy before an API server as Rancher is one: below a path, with a certificate of its own.

It passes tokens on, or knows its own alone: any other, a ServiceAccount's too, it then answers as
Rancher does that was not told to take those of a cluster (rancher/rancher#13525).
"""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import urllib3
from live.unkind import certified

PATH = "/k8s/clusters/c-m-abc"
OWN = "kubeconfig-u-abc:canary-token-of-rancher"
"""The token that such a proxy knows."""
MUST = {"type": "error", "status": "401", "message": "must authenticate"}
PASSED_ON = ("Accept", "Content-Type", "Authorization")


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if not self.path.startswith(f"{PATH}/"):
            return self._answer(404, "text/plain", b"not found")
        headers = {name: self.headers[name] for name in PASSED_ON if name in self.headers}
        if self.server.instead:
            if headers.get("Authorization") != f"Bearer {OWN}":
                return self._answer(401, "application/json", json.dumps(MUST).encode())
            headers["Authorization"] = f"Bearer {self.server.instead}"
        url = self.server.behind + self.path.removeprefix(PATH)
        found = self.server.pool.request(self.command, url, body=body or None, headers=headers)
        self._answer(found.status, found.headers.get("Content-Type", ""), found.data)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = serve  # noqa: N815

    def _answer(self, status: int, kind: str, data: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, at: str, behind: str, instead: str) -> None:
        self.address_family = socket.AF_INET6 if ":" in at else socket.AF_INET
        super().__init__((at, 0), _Handler)
        self.behind, self.instead = behind, instead
        # On this machine alone, and what is asked is nobody's secret.
        self.pool = urllib3.PoolManager(cert_reqs="CERT_NONE", assert_hostname=False)


@contextmanager
def before(
    server: str, folder: Path, at: str = "127.0.0.1", instead: str = ""
) -> Iterator[tuple[str, str]]:
    """Stand before an API server; give the URL and the CA (PEM).

    `instead` is what the proxy logs in with behind it, if it takes no token but its own.
    """
    context, authority = certified(folder, at)
    listener = _Server(at, server, instead)
    listener.socket = context.wrap_socket(listener.socket, server_side=True)
    threading.Thread(target=listener.serve_forever, args=[0.1], daemon=True).start()
    host = f"[{at}]" if ":" in at else at
    try:
        yield f"https://{host}:{listener.server_port}{PATH}", authority
    finally:
        listener.shutdown()
        listener.server_close()
