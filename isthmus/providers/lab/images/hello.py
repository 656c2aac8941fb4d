"""The sample's server: Istio's helloworld without its second of burnt CPU a request."""

import os
import socket
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ANSWER = (
    f"Hello version: {os.environ.get('SERVICE_VERSION', 'v1')}, instance: {socket.gethostname()}\n"
)


class HelloHandler(BaseHTTPRequestHandler):
    """Answer every GET alike."""

    protocol_version = "HTTP/1.1"
    # One packet an answer: with two, the second waits 40 ms for the first one's acknowledgement.
    wbufsize = -1

    def do_GET(self) -> None:
        """Answer."""
        body = ANSWER.encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Stay silent: a line a request would only fill the lab's disk."""


if __name__ == "__main__":
    ThreadingHTTPServer(("", 5000), HelloHandler).serve_forever()
