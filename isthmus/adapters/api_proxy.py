"""A way to API servers for programs that give up at the first refusal, as `kubectl proxy` is one.

Helm makes a hundred requests in a row and ends at the first 500 or cut connection, kubefedctl a
dozen. Through here each is repeated like our own, a run that lost its turn changes nothing, and the
program needs neither the kubeconfig's credentials nor its plugin. Only who knows the token of the
moment is served, and only on this machine.
"""

import contextvars
import json
import secrets
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from urllib3.exceptions import HTTPError

from isthmus import polling, state
from isthmus.adapters.api_server import RETRY_INTERVAL, ApiServer
from isthmus.adapters.kube_errors import RETRYABLE
from isthmus.errors import ClusterUnreachable, IsthmusError, NotReady, Stopped

LONGER = 2
"""Times the limit `retry`: as long is a program's request repeated, which gives up for good."""
CONFLICT = 409
"""What a server answers that needs no repetition: the program has to know."""
PASSED_ON = ("Accept", "Content-Type")
RawResponse = tuple[int, str, bytes]
"""Status, content type and body."""


RewriteBody = Callable[[str, bytes], bytes]
"""Given path and body of what a program writes, returns the body that is written."""


@contextmanager
def run_proxy(
    ways: Mapping[str, ApiServer], amend: RewriteBody = lambda path, body: body
) -> Iterator[Path]:
    """Give a kubeconfig whose contexts lead to these API servers by way of this process."""
    listener = _Listener({secrets.token_urlsafe(32): way for way in ways.values()}, amend)
    threading.Thread(target=listener.serve_forever, args=[0.1], daemon=True).start()
    home = state.home()
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        with tempfile.TemporaryDirectory(prefix="api-proxy-", dir=home) as folder:
            urls = [f"http://127.0.0.1:{listener.server_port}/{token}" for token in listener.ways]
            yield _kubeconfig(Path(folder) / "kubeconfig", dict(zip(ways, urls, strict=True)))
    finally:
        listener.shutdown()
        listener.server_close()


def _kubeconfig(path: Path, urls: dict[str, str]) -> Path:
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": {"server": url}} for name, url in urls.items()],
        "users": [{"name": name, "user": {}} for name in urls],
        "contexts": [{"name": n, "context": {"cluster": n, "user": n}} for n in urls],
        "current-context": next(iter(urls)),
    }
    state.write_private(path, json.dumps(document))
    return path


class _Listener(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, ways: dict[str, ApiServer], amend: RewriteBody) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.ways = ways
        """Token -> API server."""
        self._amend, self._given_up = amend, set[ApiServer]()
        self._of_the_run = contextvars.copy_context()

    def server_for(self, token: str) -> ApiServer | None:
        """Return the API server to which a token leads, if to any."""
        known = [t for t in self.ways if secrets.compare_digest(t.encode(), token.encode())]
        return self.ways[known[0]] if known else None

    def relay(
        self, server: ApiServer, method: str, path: str, headers: dict[str, str], body: bytes
    ) -> RawResponse:
        """Pass a request on as a part of the run: one that has lost its turn changes nothing."""
        if method != "GET":
            body = self._amend(path, body)
        # Patience once for each server: `unjoin --force` asks a dead one eight times.
        tries_on = server not in self._given_up
        # A thread begins without it. A copy each, as one context cannot be entered twice.
        run = self._of_the_run.copy().run
        answer = run(relayed, server, method, path, headers, body, tries_on)
        self._given_up.discard(server)
        if _may_pass(answer):
            self._given_up.add(server)
        return answer


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # One packet an answer, at once: a second one would wait for 40 ms, a hundred times.
    wbufsize = -1
    disable_nagle_algorithm = True
    server: _Listener

    def serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        # In the path: client-go sends no credentials where there is no TLS (clientcmd).
        token, _, path = self.path[1:].partition("/")
        if not (way := self.server.server_for(token)):
            return self._answer((404, "text/plain", b"nothing here"))
        headers = {name: self.headers[name] for name in PASSED_ON if name in self.headers}
        try:
            self._answer(self.server.relay(way, self.command, f"/{path}", headers, body))
        except IsthmusError as error:  # the run's own end, which the program need not understand
            self._answer((403, "text/plain", error.message.encode()))

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = serve  # noqa: N815

    def _answer(self, answer: RawResponse) -> None:
        status, kind, data = answer
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
        self.wfile.flush()

    def log_message(self, *_: object) -> None:
        """Say nothing: paths may name what is nobody's business."""


def relayed(
    server: ApiServer,
    method: str,
    path: str,
    headers: dict[str, str],
    body: bytes,
    tries_on: bool = True,
) -> RawResponse:
    """Return the API server's answer to a program's request, the last one if none is any good."""
    last: RawResponse = (503, "text/plain", b"the API server does not answer")
    cut = False
    limit = LONGER * polling.timeouts().retry if tries_on else 0

    def asked() -> RawResponse | None:
        nonlocal last, cut
        try:
            last = server.raw(method, path, headers, body)
        except (HTTPError, OSError) as error:
            last, cut = (503, "text/plain", f"service unavailable: {error}".encode()), True
            return None
        return None if _may_pass(last) else last

    try:
        answer = polling.until(asked, f"{method} {path}", timeout=limit, interval=RETRY_INTERVAL)
    except (ClusterUnreachable, NotReady, Stopped):
        return last
    if method == "POST" and answer[0] == CONFLICT and cut:
        return _made_before(server, path, headers, body) or answer
    return answer


def _may_pass(answer: RawResponse) -> bool:
    return answer[0] in RETRYABLE and answer[0] != CONFLICT


def _made_before(
    server: ApiServer, path: str, headers: dict[str, str], body: bytes
) -> RawResponse | None:
    """Return what a POST made whose answer was cut: its repetition is told of a conflict."""
    try:
        name: Any = json.loads(body)["metadata"]["name"]
    except (ValueError, KeyError, TypeError):
        return None
    status, kind, data = relayed(server, "GET", f"{path.split('?')[0]}/{name}", headers, b"")
    return (201, kind, data) if status == 200 else None
