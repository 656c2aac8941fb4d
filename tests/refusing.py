"""An API server for programs: it answers as it is told to, and else keeps what is posted."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import yaml

from isthmus.step_results import Access

TOKEN = "canary-token-of-the-administrator"


class Handler(BaseHTTPRequestHandler):
    """Answers as `answers` say, and else keeps what is posted.

    None is a cut connection, bytes are what comes of an answer before it is cut.
    """

    def answer(self):
        server = self.server
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        server.asked.append((self.command, self.path, self.headers.get("Authorization")))
        said = server.answers.pop(0) if server.answers else 200
        name = self.path.split("?")[0].rpartition("/")[2]
        if self.command == "POST":
            name = json.loads(body)["metadata"]["name"]
            said = 409 if name in server.objects and said == 200 else said
            server.objects.setdefault(name, body)
        if not isinstance(said, int):
            self.close_connection = True
            self.wfile.write(said or b"")
            return self.connection.close()
        data = server.objects.get(name, b"{}")
        self.send_response(said)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_POST = answer  # noqa: N815

    def log_message(self, *_):
        pass


@contextmanager
def serving() -> Iterator[ThreadingHTTPServer]:
    """Answer on loopback: `asked` has what was asked, `answers` what is said to the next ones."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.asked, server.answers, server.objects = [], [], {}
    with running(server):
        yield server


@contextmanager
def running(server: ThreadingHTTPServer) -> Iterator[None]:
    """Have the server answer while the block runs."""
    threading.Thread(target=server.serve_forever, args=[0.01], daemon=True).start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()


def access(port, path, cluster, **more) -> Access:
    """Write a kubeconfig whose context `admin` leads to a server on loopback."""
    url = f"http://127.0.0.1:{port}"
    document = {
        "clusters": [{"name": "c", "cluster": {"server": url, **more}}],
        "users": [{"name": "u", "user": {"token": TOKEN}}],
        "contexts": [{"name": "admin", "context": {"cluster": "c", "user": "u"}}],
    }
    path.write_text(yaml.safe_dump(document))
    return Access(cluster=cluster, kubeconfig=path, context="admin")
