"""The way to an API server for programs that give up at its first refusal."""

import json
import threading
import urllib.error
import urllib.request
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import yaml

from isthmus import waiting
from isthmus.adapters import api_proxy, kube
from isthmus.errors import Busy
from isthmus.facts import Access

TOKEN = "canary-token-of-the-administrator"


class Handler(BaseHTTPRequestHandler):
    """Answers as `answers` say, None being a cut connection, and else keeps what is posted."""

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
        if said is None:
            self.close_connection = True
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


@pytest.fixture
def api():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.asked, server.answers, server.objects = [], [], {}
    threading.Thread(target=server.serve_forever, args=[0.01], daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@contextmanager
def standing(api, folder):
    """Give a kubeconfig that leads to the API server through this process."""
    document = {
        "clusters": [{"name": "c", "cluster": {"server": f"http://127.0.0.1:{api.server_port}"}}],
        "users": [{"name": "u", "user": {"token": TOKEN}}],
        "contexts": [{"name": "admin", "context": {"cluster": "c", "user": "u"}}],
    }
    (folder / "config").write_text(yaml.safe_dump(document))
    access = Access(cluster="beijing", kubeconfig=folder / "config", context="admin")
    with api_proxy.standing(kube.Kube(access), "admin") as path:
        yield path


@pytest.fixture
def way(api, folders):
    with standing(api, folders) as path:
        yield path


def ask(way, method, path, body=None, token=None):
    url = json.loads(way.read_text())["clusters"][0]["cluster"]["server"]
    if token:
        url = f"{url.rpartition('/')[0]}/{token}"
    request = urllib.request.Request(
        url + path,
        json.dumps(body).encode() if body else None,
        {"Content-Type": "application/json"},
        method=method,
    )
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=20) as answer:
        return answer.status, answer.read()


@pytest.mark.parametrize("answers", [[], [429], [500, 503], [None], [504, None]])
def test_a_program_sees_no_refusal_that_passes(api, way, answers):
    api.answers = list(answers)
    assert ask(way, "GET", "/version") == (200, b"{}")
    assert len(api.asked) == len(answers) + 1
    assert {token for *_, token in api.asked} == {f"Bearer {TOKEN}"}


def test_a_refusal_that_means_it_is_passed_on_at_once(api, way):
    api.answers = [403]
    with pytest.raises(urllib.error.HTTPError) as caught:
        ask(way, "GET", "/version")
    assert (caught.value.code, len(api.asked)) == (403, 1)


def test_what_was_made_before_the_answer_was_cut_is_no_conflict(api, way):
    thing = {"metadata": {"name": "release"}}
    api.answers = [None]
    status, body = ask(way, "POST", "/api/v1/namespaces/s/secrets", thing)
    assert status == 201 and json.loads(body) == thing
    with pytest.raises(urllib.error.HTTPError) as caught:
        ask(way, "POST", "/api/v1/namespaces/s/secrets", thing)
    assert caught.value.code == 409


def test_who_does_not_know_the_token_is_not_served(api, way):
    with pytest.raises(urllib.error.HTTPError) as caught:
        ask(way, "GET", "/version", token="another")
    assert caught.value.code == 404 and not api.asked


def test_a_program_of_a_run_that_lost_its_turn_changes_nothing(api, folders):
    def check():
        raise Busy("this run is not sure any more")

    with waiting.in_turn(check), standing(api, folders) as way:
        assert ask(way, "GET", "/version")[0] == 200
        with pytest.raises(urllib.error.HTTPError) as caught:
            ask(way, "POST", "/api/v1/namespaces/s/secrets", {"metadata": {"name": "x"}})
    assert b"not sure any more" in caught.value.read()
    assert [verb for verb, *_ in api.asked] == ["GET"]


def test_no_credential_is_handed_on_and_nothing_is_left(api, way, folders):
    assert TOKEN not in way.read_text() and way.stat().st_mode & 0o777 == 0o600
