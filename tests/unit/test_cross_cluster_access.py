"""Whether a cluster's ServiceAccounts log in at the URL that others use: against real sockets."""

import base64
import json
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import refusing
from fakes import limit

from isthmus.adapters import api_server, cross_cluster_access, kube_client
from isthmus.step_results import Access

TOKEN = "canary-token-of-an-account"
MUST = {"type": "error", "status": "401", "message": "must authenticate"}
"""What Rancher's proxy says to a token that is none of its own (rancher/rancher#13525)."""
NOBODY = {"kind": "Status", "message": 'User "system:anonymous" cannot create resource'}
HARD = {"kind": "Status", "message": 'User "system:serviceaccount:x:default" cannot create'}


class Proxy(BaseHTTPRequestHandler):
    """Gives the next of `answers` to each request; the last one for ever."""

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.server.asked.append((self.path, self.headers.get("Authorization")))
        answers = self.server.answers
        status, body = answers.pop(0) if len(answers) > 1 else answers[0]
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        pass


@contextmanager
def serving(*answers):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
    server.asked, server.answers = [], list(answers)
    with refusing.running(server):
        yield server


@pytest.fixture(autouse=True)
def short(monkeypatch):
    limit(monkeypatch, retry=0)
    monkeypatch.setattr(cross_cluster_access, "RETRY_INTERVAL", 0.01)
    monkeypatch.setattr(api_server, "RETRY_INTERVAL", 0.01)


def access(folder, url, user=None, **fields):
    document = {
        "clusters": [{"name": "c", "cluster": {"server": url}}],
        "users": [{"name": "u", "user": user or {"token": "token of the administrator"}}],
        "contexts": [{"name": "k", "context": {"cluster": "c", "user": "u"}}],
    }
    (folder / "config").write_text(json.dumps(document))
    return Access(cluster="one", kubeconfig=folder / "config", context="k", **fields)


def refused(folder, *answers, user=None):
    with serving(*answers) as server:
        url = f"http://127.0.0.1:{server.server_port}/k8s/clusters/c-m-abc"
        found = cross_cluster_access.token_login_error(access(folder, url, user), TOKEN, "")
    return found, server.asked


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ((201, {}), ""),
        ((401, MUST), "HTTP 401: must authenticate"),
        ((401, "words"), 'HTTP 401: "words"'),
        ((403, NOBODY), f"HTTP 403: {NOBODY['message']}"),
        ((403, HARD), ""),
        ((503, {}), ""),
    ],
)
def test_a_token_that_does_not_log_in_is_told_in_the_servers_words(folders, answer, said):
    assert refused(folders, answer)[0] == said


def test_it_is_asked_below_the_path_and_as_the_account_alone(folders):
    """A certificate or another name of the kubeconfig would log in where the token does not."""
    user = {"token": "token of the administrator", "as": "someone"}
    _, [(path, sent)] = refused(folders, (201, {}), user=user)
    assert path == ("/k8s/clusters/c-m-abc/apis/authorization.k8s.io/v1/selfsubjectaccessreviews")
    assert sent == f"Bearer {TOKEN}"


def test_a_token_that_one_of_several_servers_does_not_know_yet_is_tried_again(folders, monkeypatch):
    limit(monkeypatch, retry=60)
    said, asked = refused(folders, (401, MUST), (401, MUST), (201, {}))
    assert (said, len(asked)) == ("", 3)


def test_an_address_that_this_machine_cannot_reach_is_left_to_the_pods(folders):
    given = access(folders, "http://127.0.0.1:9", server="http://127.0.0.1:9/k8s")
    assert cross_cluster_access.token_login_error(given, TOKEN, "") == ""


def test_the_token_is_in_no_file_afterwards(folders):
    refused(folders, (401, MUST))
    assert not [p for p in folders.rglob("*") if p.is_file() and TOKEN.encode() in p.read_bytes()]
    assert not [p for p in folders.rglob("*") if p.name.startswith(kube_client.KEY_FOLDER_PREFIX)]


@pytest.mark.parametrize(
    ("told", "own", "authorities"),
    [
        ("", "own", "own"),
        ("own", "own\n", "own\n"),
        ("another\nown\n", "own\n", "another\nown"),
        ("another", "own\n", "another\nown\n"),
    ],
)
def test_a_server_is_known_by_the_clusters_ca_and_by_its_kubeconfigs(
    folders, monkeypatch, told, own, authorities
):
    authority = base64.b64encode(told.encode()).decode()
    monkeypatch.setattr(
        cross_cluster_access.kubeconfigs, "server", lambda access: ("https://one", authority)
    )
    assert cross_cluster_access.ca_bundle(access(folders, "https://one"), own) == authorities


def test_the_name_of_a_certificate_holds_for_the_kubeconfigs_own_address_alone(folders):
    given = access(folders, "https://[fd00::1]:6443")
    document = json.loads(given.kubeconfig.read_text())
    document["clusters"][0]["cluster"]["tls-server-name"] = "api.one"
    given.kubeconfig.write_text(json.dumps(document))

    def cluster(access):
        [found] = cross_cluster_access.kubeconfig(access, TOKEN, "own")["clusters"]
        return found["cluster"]

    assert cluster(given)["tls-server-name"] == "api.one"
    assert cluster(given)["server"] == "https://[fd00::1]:6443"
    elsewhere = given.model_copy(update={"server": "https://10.0.0.1:6443"})
    assert "tls-server-name" not in cluster(elsewhere)
