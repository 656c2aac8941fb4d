"""A command in a pod, against a real websocket: whole, refused, cut, silent."""

import json
import re
import socket
import threading
from contextlib import contextmanager

import pytest
import yaml
from fakes import limit, limited
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Response
from websockets.sync.server import serve
from websockets.utils import accept_key

from isthmus.adapters import kube, pod_exec
from isthmus.errors import ClusterUnreachable, NotReady, Rejected
from isthmus.step_results import Access

TOKEN = "canary-token"
SUCCESS = {"status": "Success"}


def failure(code):
    causes = [{"reason": "ExitCode", "message": str(code)}]
    return {"status": "Failure", "reason": "NonZeroExitCode", "details": {"causes": causes}}


@contextmanager
def answering(handler, process_request=None):
    """Run an API server that knows `exec` alone; give its port."""
    server = serve(
        handler,
        "127.0.0.1",
        0,
        subprotocols=[pod_exec.PROTOCOL],
        process_request=process_request,
        close_timeout=0.2,
    )
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.socket.getsockname()[1]
    finally:
        server.shutdown()


def execute(tmp_path, port, argv=("date",)):
    document = {
        "clusters": [{"name": "c", "cluster": {"server": f"http://127.0.0.1:{port}"}}],
        "users": [{"name": "u", "user": {"token": TOKEN}}],
        "contexts": [{"name": "admin", "context": {"cluster": "c", "user": "u"}}],
    }
    path = tmp_path / "config"
    path.write_text(yaml.safe_dump(document))
    client = kube.Kube(Access(cluster="beijing", kubeconfig=path, context="admin"))
    return client.execute("sleep-1", "sample", "sleep", list(argv))


@pytest.fixture(autouse=True)
def home(folders):
    with limited(connect=1.0, request=1.0):
        yield folders


def test_a_command_gives_what_it_printed_and_its_exit_code(tmp_path):
    asked = []

    def handler(stream):
        asked.append(stream.request)
        for part in (b"\x01half ", b"\x02a warning", b"\x01and half"):
            stream.send(part)
        stream.send(b"\x03" + json.dumps(failure(22)).encode())

    with answering(handler) as port:
        assert execute(tmp_path, port, ["curl", "a b&c"]) == ("half and half", "a warning", 22)
    [request] = asked
    assert request.path.startswith("/api/v1/namespaces/sample/pods/sleep-1/exec?container=sleep&")
    assert request.path.endswith("&command=curl&command=a+b%26c")
    assert request.headers["Authorization"] == f"Bearer {TOKEN}"


def test_what_was_said_before_a_cut_is_a_part_and_is_not_returned(tmp_path):
    def handler(stream):
        stream.send(b"\x01650 of 3000 answers")
        stream.socket.shutdown(socket.SHUT_RDWR)

    with answering(handler) as port, pytest.raises(ClusterUnreachable) as caught:
        execute(tmp_path, port)
    assert "the connection to beijing's API server was lost" in str(caught.value)
    assert not caught.value.timed_out


def test_a_stream_that_is_closed_properly_without_a_status_was_cut_too(tmp_path):
    with answering(lambda stream: stream.send(b"\x01a part")) as port:
        with pytest.raises(ClusterUnreachable, match="was lost: closed before the command had"):
            execute(tmp_path, port)


def test_a_server_that_says_nothing_is_asked_and_then_given_up(tmp_path, monkeypatch):
    limit(monkeypatch, request=0.1)
    with deaf() as port, pytest.raises(ClusterUnreachable, match=r"no data for 0\.4 s"):
        execute(tmp_path, port)


@contextmanager
def deaf():
    """Run a server that opens the stream and answers no ping."""

    def serve_one():
        connection, _ = listener.accept()
        request = connection.recv(65536).decode()
        key = re.search(r"(?i)sec-websocket-key: (\S+)", request)[1]
        connection.sendall(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Accept: {accept_key(key)}\r\n"
            f"Sec-WebSocket-Protocol: {pod_exec.PROTOCOL}\r\n\r\n".encode()
        )
        open_connections.append(connection)

    open_connections = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve_one, daemon=True).start()
        yield listener.getsockname()[1]
        for connection in open_connections:
            connection.close()


def test_a_command_that_says_nothing_for_long_is_waited_for_while_the_server_answers(
    tmp_path, monkeypatch
):
    limit(monkeypatch, request=0.1)

    def handler(stream):
        with pytest.raises(TimeoutError):
            stream.recv(timeout=1)
        stream.send(b"\x03" + json.dumps(SUCCESS).encode())

    with answering(handler) as port:
        assert execute(tmp_path, port) == ("", "", 0)


def test_a_command_without_end_is_given_up(tmp_path):
    def handler(stream):
        with pytest.raises(ConnectionClosed):
            while True:
                stream.send(b"\x01y")

    with limited(exec=0.3), answering(handler) as port:
        with pytest.raises(ClusterUnreachable, match=r"timed out after 0\.3 s") as e:
            execute(tmp_path, port)
    assert e.value.timed_out  # or a step would wait as long four times more


def test_a_server_that_takes_the_connection_and_says_nothing_is_given_up(tmp_path):
    with limited(connect=0.1, request=0.1), socket.create_server(("127.0.0.1", 0)) as silent:
        with pytest.raises(ClusterUnreachable, match="no connection"):
            execute(tmp_path, silent.getsockname()[1])


def test_nobody_there_is_unreachable(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    with pytest.raises(ClusterUnreachable, match="no connection"):
        execute(tmp_path, port)


def refusing(status, message, retry_after=""):
    def refuse(connection, request):
        body = json.dumps({"kind": "Status", "message": message}).encode()
        headers = Headers({"Content-Length": str(len(body)), "Connection": "close"})
        if retry_after:
            headers["Retry-After"] = retry_after
        return Response(status, "refused", headers, body)

    return refuse


@pytest.mark.parametrize(
    ("status", "said", "kind", "told"),
    [
        (403, "pods/exec is forbidden", Rejected, "pods/exec is forbidden"),
        (404, 'pods "sleep-1" not found', NotReady, "the pod is gone"),
        (429, "too many requests", ClusterUnreachable, "HTTP 429"),
        (500, "etcdserver: request timed out", ClusterUnreachable, "etcdserver"),
        (
            500,
            "error dialing backend: dial tcp 10.0.0.7:10250: connect: connection refused",
            ClusterUnreachable,
            "beijing's API server does not reach the node's kubelet at 10.0.0.7:10250: "
            "connect: connection refused",
        ),
        (502, "error dialing backend: proxy error from ...", ClusterUnreachable, "port 10250"),
    ],
)
def test_a_refusal_is_told_in_the_servers_words(tmp_path, status, said, kind, told):
    with answering(lambda stream: None, refusing(status, said, "7")) as port:
        with pytest.raises(kind) as caught:
            execute(tmp_path, port)
    assert told in str(caught.value) and "{" not in caught.value.message
    if status == 429:
        assert caught.value.retry_after == 7


def test_a_command_that_could_not_be_run_is_told(tmp_path):
    status = {"status": "Failure", "reason": "InternalError", "message": "no such container"}

    with answering(lambda stream: stream.send(b"\x03" + json.dumps(status).encode())) as port:
        with pytest.raises(NotReady, match="no such container"):
            execute(tmp_path, port)


def test_a_stream_that_opens_and_then_says_that_the_kubelet_is_not_reached_is_told_so(tmp_path):
    said = "error dialing backend: dial tcp 10.0.0.7:10250: i/o timeout"
    status = {"status": "Failure", "reason": "InternalError", "message": said}

    with answering(lambda stream: stream.send(b"\x03" + json.dumps(status).encode())) as port:
        with pytest.raises(pod_exec.KubeletUnreachable, match=r"10\.0\.0\.7:10250: i/o timeout"):
            execute(tmp_path, port)
