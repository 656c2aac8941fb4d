"""A login plugin of a kubeconfig is called once, and again when its token is taken no more."""

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import refusing
import yaml
from fakes import limited

from isthmus import state
from isthmus.adapters import connectivity, kube, kube_client
from isthmus.errors import Rejected, Unprepared
from isthmus.step_results import Access

PLUGIN = """#!/bin/sh
echo called >> "$0.calls"
token=$(cat "$0.token")
printf '{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":'
printf '{"token":"%s"}}' "$token"
"""


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        known = self.headers["Authorization"] == f"Bearer {self.server.token}"
        body = json.dumps({"gitVersion": "v1.36.3"} if known else {"message": "no"}).encode()
        self.send_response(200 if known else 401)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    """An API server that knows one token."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.token = "first"
    with refusing.running(server):
        yield server


@pytest.fixture
def plugin(tmp_path):
    path = tmp_path / "plugin"
    path.write_text(PLUGIN)
    path.chmod(0o755)
    (tmp_path / "plugin.token").write_text("first")
    return path


def calls(plugin):
    return plugin.with_name("plugin.calls").read_text().split()


def client(server, plugin, tmp_path, **cluster):
    run = {"apiVersion": "client.authentication.k8s.io/v1", "command": str(plugin)}
    run["interactiveMode"] = "Never"
    place = {"server": f"http://127.0.0.1:{server.server_port}", **cluster}
    document = {
        "clusters": [{"name": "c", "cluster": place}],
        "users": [{"name": "u", "user": {"exec": run}}],
        "contexts": [{"name": "admin", "context": {"cluster": "c", "user": "u"}}],
    }
    path = tmp_path / "config"
    path.write_text(yaml.safe_dump(document))
    return kube.Kube(Access(cluster="beijing", kubeconfig=path, context="admin"))


def test_a_file_of_a_token_may_end_with_a_newline(folders, server, plugin, tmp_path):
    asked = client(server, plugin, tmp_path)
    path = asked.access.kubeconfig
    document = yaml.safe_load(path.read_text())
    document["users"][0]["user"] = {"tokenFile": "token"}
    path.write_text(yaml.safe_dump(document))
    (tmp_path / "token").write_text("first\n")
    assert asked.version() == "v1.36.3"


def test_many_requests_are_one_login(folders, server, plugin, tmp_path):
    asked = client(server, plugin, tmp_path)
    assert connectivity.get_server_version(asked)[1] == "v1.36.3"
    assert [asked.version() for _ in range(5)] == ["v1.36.3"] * 5
    assert len(calls(plugin)) == 1


@pytest.mark.parametrize(
    "slow", ["exec sleep 600", "sleep 600", "trap '' TERM; sleep 600; sleep 600"]
)
def test_a_login_that_does_not_end_is_ended_and_named(folders, server, plugin, tmp_path, slow):
    plugin.write_text(f"#!/bin/sh\n{slow}\n")
    with (
        limited(login=0.3),
        pytest.raises(Unprepared, match=r"timed out after 0.3 s \(timeouts.login\)"),
    ):
        client(server, plugin, tmp_path).version()


def test_a_token_that_is_taken_no_more_is_got_anew(folders, server, plugin, tmp_path):
    asked = client(server, plugin, tmp_path)
    asked.version()
    server.token = "second"
    plugin.with_name("plugin.token").write_text("second")
    assert asked.version() == "v1.36.3"
    assert len(calls(plugin)) == 2


def test_a_login_that_is_refused_is_not_repeated_for_ever(folders, server, plugin, tmp_path):
    server.token = "another"
    with pytest.raises(Rejected, match="HTTP 401"):
        client(server, plugin, tmp_path).version()
    assert len(calls(plugin)) == 2


def test_renewing_a_token_changes_no_proxy(folders, server, plugin, tmp_path, monkeypatch):
    asked = client(server, plugin, tmp_path, **{"proxy-url": "127.0.0.1:1"})
    api = kube_client.new_client(asked.access)
    assert api.configuration.proxy == "http://127.0.0.1:1"
    headers = {}
    api.update_params_for_auth(headers, [], ["BearerToken"], "/version", "GET", None)
    assert api.configuration.proxy == "http://127.0.0.1:1"
    assert headers == {"authorization": "Bearer first"}
    assert not list(state.home().glob(f"{kube_client.KEY_FOLDER_PREFIX}*"))
