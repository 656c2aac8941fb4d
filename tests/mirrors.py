"""A web server that can be slow, broken or hostile, and the archives that it gives."""

import io
import re
import tarfile
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "ISTHMUS_MIRROR")


class Web:
    """What is at each path, and the requests that came; `manners` are those of the next answers."""

    def __init__(self, url):
        self.url = url
        self.files = {}
        self.manners = []
        self.asked = []
        """Method and path of every request."""
        self.headers = []
        self.over = threading.Event()

    def ranges(self):
        return [headers.get("Range") for headers in self.headers]


class Server(ThreadingHTTPServer):
    """Threads end with the test; clients that hang up are what some tests are about."""

    daemon_threads = True

    def handle_error(self, request, client_address):
        pass


@contextmanager
def serving():
    """Serve until the block ends."""
    server = Server(("127.0.0.1", 0), Handler)
    server.web = Web(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=lambda: server.serve_forever(poll_interval=0.02))
    thread.start()
    try:
        yield server.web
    finally:
        server.web.over.set()
        server.shutdown()
        thread.join()
        server.server_close()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *what):
        pass

    def do_CONNECT(self):
        self._note()
        self._answer(502, b"")

    def do_GET(self):
        web = self._note()
        manner = web.manners.pop(0) if web.manners else "good"
        # A proxy is asked for the whole address.
        content = web.files.get(re.sub(r"^http://[^/]+", "", self.path))
        if content is None:
            return self._answer(404, b"nothing here")
        if manner.isdigit():
            return self._answer(int(manner), b"trouble")
        getattr(self, f"_{manner}")(content)

    def _note(self):
        web = self.server.web
        web.asked.append(f"{self.command} {self.path}")
        web.headers.append(dict(self.headers))
        return web

    def _good(self, content):
        begin = int(re.findall(r"\d+", self.headers.get("Range", "0"))[0])
        if begin >= len(content):
            return self._answer(416, b"")
        where = f"bytes {begin}-{len(content) - 1}/{len(content)}"
        headers = {"Content-Range": where} if begin else {}
        self._answer(206 if begin else 200, content[begin:], headers)

    def _forgetful(self, content):
        """Give the whole, whatever was asked for."""
        self._answer(200, content)

    def _moved(self, content):
        self._answer(302, b"", {"Location": "/elsewhere"})

    def _broken(self, content):
        """Break off in the middle of what is left."""
        begin = int(re.findall(r"\d+", self.headers.get("Range", "0"))[0])
        left = content[begin:]
        where = {"Content-Range": f"bytes {begin}-{len(content) - 1}/{len(content)}"}
        self._head(206 if begin else 200, len(left), where if begin else {})
        self.wfile.write(left[: len(left) // 2])
        self.close_connection = True

    def _silent(self, content):
        """Say half of it, and nothing more."""
        self._head(200, len(content), {})
        self.wfile.write(content[: len(content) // 2])
        self.wfile.flush()
        self.server.web.over.wait()

    def _slow(self, content):
        """Say all of it, a tenth at a time, 0.05 s apart."""
        self._head(200, len(content), {})
        step = len(content) // 10 + 1
        for begin in range(0, len(content), step):
            self.wfile.write(content[begin : begin + step])
            self.wfile.flush()
            self.server.web.over.wait(0.05)

    def _answer(self, status, content, headers=None):
        self._head(status, len(content), headers or {})
        self.wfile.write(content)

    def _head(self, status, length, headers):
        self.send_response(status)
        for name, value in {"Content-Length": str(length), **headers}.items():
            self.send_header(name, value)
        self.end_headers()


def archive(*members):
    """Return a .tar.gz of these, each a name with its content, or a whole TarInfo."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as tar:
        for member in members:
            info, content = member if isinstance(member, tuple) else (member, b"")
            if isinstance(info, str):
                info = tarfile.TarInfo(info)
                info.mode = 0o755
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return made.getvalue()


def program(version):
    """Return a program that tells its version."""
    return f"#!/bin/sh\necho 'client version: v{version}'\n".encode()


def odd(name, kind, target=""):
    """Return a member that is no ordinary file."""
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info
