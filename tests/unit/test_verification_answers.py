"""The probe: what it asks of a real server, and what its output means."""

import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from isthmus.verification import Answers, by_cluster, parse_answers, probe_script, unknown_instances

HELLO = "Hello version: v1, instance: helloworld-abc-xyz"
needs_curl = pytest.mark.skipif(not shutil.which("curl"), reason="no curl on this machine")


class Server(ThreadingHTTPServer):
    """Counts the connections it accepts; every fifth request is refused with 503."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.connections = 0
        self.paths: list[str] = []

    def get_request(self):
        self.connections += 1
        return super().get_request()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    honest = True

    def do_GET(self):
        self.server.paths.append(self.path)
        refused = len(self.server.paths) % 5 == 0
        body = b"no healthy upstream" if refused else f"{HELLO}\n".encode()
        self.send_response(503 if refused else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = self.close_connection and self.honest

    def log_message(self, *_):
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield running
        running.shutdown()


def ask(n: int, url: str) -> Answers:
    done = subprocess.run(probe_script(n, url, 5), capture_output=True, text=True, check=False)
    return parse_answers(done.stdout, n)


@needs_curl
def test_every_request_has_a_connection_of_its_own_and_failures_do_not_stop_it(server):
    answers = ask(100, f"http://127.0.0.1:{server.server_port}/hello")
    assert server.connections == 100
    assert server.paths == ["/hello"] * 100
    assert answers.instances == ["helloworld-abc-xyz"] * 80
    assert answers.failures == ["HTTP 503: no healthy upstream"] * 20
    assert answers.reused == 0


@needs_curl
def test_a_server_that_keeps_connections_is_noticed(server, monkeypatch):
    monkeypatch.setattr(Handler, "honest", False)
    answers = ask(4, f"http://127.0.0.1:{server.server_port}/hello")
    assert server.connections == 1
    assert answers.reused == 3


@needs_curl
def test_a_closed_port_fails_every_request_for_the_same_reason():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        answers = ask(3, f"http://127.0.0.1:{unused.getsockname()[1]}/hello")
    assert len(answers.failures) == 3
    assert len(set(answers.failures)) == 1


def test_the_command_has_no_shell_in_it_and_stays_short_for_many_requests():
    assert probe_script(10_000, "http://x/hello; rm -rf $HOME", 10)[-1] == (
        "http://x/hello; rm -rf $HOME#[1-10000]"
    )
    assert sum(map(len, probe_script(10_000, "http://helloworld.sample:5000/hello", 10))) < 300


def test_the_bare_form_with_only_a_code_is_read_too():
    assert parse_answers(f"{HELLO}\n\n200\n{HELLO}\n\n200\n", 2) == Answers(
        requests=2, instances=["helloworld-abc-xyz"] * 2, failures=[]
    )


@pytest.mark.parametrize(
    ("printed", "failure"),
    [
        ("\n000 0 Operation timed out after 5001 ms with 0 bytes", "Operation timed out with 0 by"),
        ("\n000", "no answer"),
        ("\n200 1 ", "HTTP 200: an empty body"),
        ("Hello world\n\n200 1 ", "HTTP 200: Hello world"),
        (f"{HELLO}\n{HELLO}\n\n200 1 ", "HTTP 200: Hello version"),
        (f"{HELLO}\n\n500 1 ", "HTTP 500: Hello version"),
        ("404 page not found\n\n404 1 ", "HTTP 404: 404 page not found"),
        ("", "the probe ended before"),
        (HELLO, "the probe ended before"),
    ],
)
def test_what_is_no_good_answer_is_a_failure_that_says_why(printed, failure):
    answers = parse_answers(printed, 1)
    assert answers.instances == []
    assert len(answers.failures) == 1
    assert answers.failures[0].startswith(failure)


def test_requests_that_the_output_does_not_mention_have_failed():
    answers = parse_answers(f"{HELLO}\n\n200 1 \n", 5)
    assert (len(answers.instances), len(answers.failures)) == (1, 4)


def test_answers_belong_to_the_cluster_of_their_instance_and_others_are_strangers():
    answers = Answers(requests=4, instances=["a", "b", "a", "ghost"], failures=[])
    known = {"a": "beijing", "b": "shanghai", "c": "tianjin"}
    assert by_cluster(answers, known) == {"beijing": 2, "shanghai": 1, "tianjin": 0}
    assert unknown_instances(answers, known) == ["ghost"]


def test_what_was_asked_to_warm_up_does_not_count():
    hello = "Hello version: v1, instance: {}\n\n200 1 \n"
    text = "\n000 0 refused\n" + hello.format("cold") + hello.format("a") + hello.format("b")
    found = parse_answers(text, 2, warm_up=2)
    assert (found.requests, found.instances, found.failures) == (2, ["a", "b"], [])
