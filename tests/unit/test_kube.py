"""The client against a real socket: a stub API server that can refuse and be gone."""

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest
import refusing
import yaml
from fakes import limited

from isthmus import polling
from isthmus.adapters import api_server, kube
from isthmus.adapters.diff import ENVIRONMENT_LABEL
from isthmus.errors import Busy, ClusterUnreachable, NotReady, Rejected, Unprepared
from isthmus.step_results import Access

TOKEN = "canary-token-of-the-administrator"
MAP = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": "mesh", "namespace": "istio-system"},
    "data": {"version": "1.31"},
}
PATH = "/api/v1/namespaces/istio-system/configmaps/mesh"
LIST = "/api/v1/namespaces/istio-system/configmaps?"
VERBS = ["get", "list", "patch", "delete"]


def resource(name, kind, namespaced):
    return {"name": name, "kind": kind, "namespaced": namespaced, "verbs": VERBS}


DISCOVERY = {
    "/api/v1": {
        "resources": [
            resource("configmaps", "ConfigMap", True),
            resource("secrets", "Secret", True),
            resource("namespaces", "Namespace", False),
            resource("namespaces/status", "Namespace", False),
        ]
    }
}


class Handler(BaseHTTPRequestHandler):
    def answer(self):
        stub = self.server
        size = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(size)) if size else None
        stub.requests.append((self.command, self.path, self.headers, body))
        path = self.path.split("?")[0]
        status, said = stub.refusal or (200, None)
        if path in DISCOVERY:
            status, said = 200, DISCOVERY[path]
        elif said is None and self.command == "PATCH":
            said = body
        elif said is None:
            status, said = (200, stub.objects[path]) if path in stub.objects else (404, {})
        data = said if isinstance(said, bytes) else json.dumps(said).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_PATCH = do_DELETE = answer  # noqa: N815

    def log_message(self, *_):
        pass


@pytest.fixture
def api():
    """A stub API server: `objects` are there, `refusal` is what it says to everything else."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.requests, server.objects, server.refusal = [], {}, None
    with refusing.running(server):
        yield server


@pytest.fixture
def access(api, tmp_path, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": {"server": f"http://127.0.0.1:{api.server_port}"}}],
        "users": [{"name": "u", "user": {"token": TOKEN}}],
        "contexts": [{"name": "admin", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "admin",
    }
    path = tmp_path / "config"
    path.write_text(yaml.safe_dump(document))
    return Access(cluster="beijing", kubeconfig=path, context="admin")


@pytest.fixture
def client(access, monkeypatch):
    """A client that soon takes the last answer for the answer."""
    monkeypatch.setattr(api_server, "RETRY_INTERVAL", 0.01)
    with limited(retry=0.05):
        yield kube.Kube(access)


def live(manifest, owner="pair", **more):
    meta = {
        **manifest["metadata"],
        "labels": {ENVIRONMENT_LABEL: owner} if owner else {},
        "uid": "1",
    }
    return {**manifest, "metadata": meta, **more}


def writes(api):
    return [(path, headers, body) for verb, path, headers, body in api.requests if verb == "PATCH"]


def test_what_is_not_there_is_applied_by_the_server_in_our_name_and_labelled(api, client):
    assert client.apply([MAP], "pair") == ["ConfigMap istio-system/mesh"]
    [(path, headers, body)] = writes(api)
    assert path == f"{PATH}?fieldManager=isthmus&force=true"
    assert headers["Content-Type"] == "application/apply-patch+yaml"
    assert headers["Authorization"] == f"Bearer {TOKEN}"
    assert body["metadata"]["labels"] == {ENVIRONMENT_LABEL: "pair"}
    assert body["data"] == MAP["data"]


def test_what_is_there_already_is_not_written_again(api, client):
    api.objects[PATH] = live(MAP, status={"what": "the server adds"})
    assert client.apply([MAP], "pair") == []
    assert not writes(api)


DEPLOYMENT = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "istiod", "namespace": "istio-system"},
    "spec": {"paused": True},
}
DEPLOYED = "/apis/apps/v1/namespaces/istio-system/deployments/istiod"


@pytest.mark.parametrize(("replicas", "woken"), [(0, True), (1, False), (3, False)])
def test_a_deployment_that_was_scaled_to_0_is_woken_and_an_autoscaler_is_left_alone(
    api, client, monkeypatch, replicas, woken
):
    served = {"resources": [resource("deployments", "Deployment", True)]}
    monkeypatch.setitem(DISCOVERY, "/apis/apps/v1", served)
    api.objects[DEPLOYED] = live({**DEPLOYMENT, "spec": {"paused": True, "replicas": replicas}})
    assert client.apply([DEPLOYMENT], owner="", scale_up=False) == [], (
        "when it starts is another step's to say"
    )
    assert bool(client.apply([DEPLOYMENT], "pair")) is woken
    assert [body for *_, body in writes(api)] == [{"spec": {"replicas": 1}}] * woken


def test_what_was_deleted_and_is_still_held_is_waited_for_and_made_anew(cluster):
    client = cluster()
    held = {**MAP, "metadata": {**MAP["metadata"], "labels": {ENVIRONMENT_LABEL: "pair"}}}
    held["metadata"] |= {"deletionTimestamp": "now", "finalizers": ["kubefed.io/sync-controller"]}
    client.put(held)
    looks = []
    ask = client.request

    def request(method, path, body=None, content=""):
        if method == "GET" and path == PATH:
            looks.append(path)
            if len(looks) == 3:
                client.store.clear()
        return ask(method, path, body, content)

    client.request = request
    assert client.apply([MAP], "pair") == ["ConfigMap istio-system/mesh"]
    assert len(looks) == 3 and client.get("ConfigMap", "mesh", "istio-system")


def test_what_does_not_end_is_told_with_what_holds_it(cluster):
    client = cluster()
    meta = {**MAP["metadata"], "deletionTimestamp": "now", "finalizers": ["example.com/hold"]}
    client.put({**MAP, "metadata": meta})
    with limited(deletion=0), pytest.raises(NotReady, match=r"deleted.*finalizer example.com/hold"):
        client.apply([MAP], "pair")


def test_a_namespace_that_is_being_deleted_takes_things_later(api, client):
    said = "unable to create new content in namespace sample because it is being terminated"
    api.refusal = 403, {"message": said}
    with pytest.raises(NotReady, match="being terminated"):
        client.apply([MAP], "pair")


def test_what_belongs_into_a_namespace_that_was_deleted_is_made_once_that_is_back(api, client):
    client.get("ConfigMap", "mesh", "istio-system")
    refuse_patches(api, 404, 'namespaces "istio-system" not found')
    with pytest.raises(NotReady, match="not found"):
        client.apply([MAP], "pair")


def test_pods_whose_account_was_deleted_are_made_anew(cluster):
    client = cluster()
    account = {**MAP, "kind": "ServiceAccount", "metadata": {"name": "istiod", "namespace": "s"}}
    for name, runs_as in {"istiod-1": "istiod", "gateway-1": "gateway"}.items():
        meta = {"name": name, "namespace": "s"}
        spec = {"serviceAccountName": runs_as}
        client.put({"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec})
    client.apply([account], "pair")
    assert [p["metadata"]["name"] for p in client.objects("Pod", "s")] == ["gateway-1"]
    client.apply([account], "pair")
    assert client.writes == [
        "PATCH /api/v1/namespaces/s/serviceaccounts/istiod",
        "DELETE /api/v1/namespaces/s/pods/istiod-1",
    ]


def test_what_is_helms_gets_no_label_of_ours(api, client):
    api.objects[PATH] = live({**MAP, "data": {}}, owner="")
    assert client.apply([MAP], owner="", scale_up=False) == ["ConfigMap istio-system/mesh"]
    assert "labels" not in writes(api)[0][2]["metadata"]


def test_what_differs_is_written_and_its_neighbours_are_not(api, client):
    other = {**MAP, "metadata": {**MAP["metadata"], "name": "other"}}
    api.objects[PATH] = live({**MAP, "data": {"version": "1.30"}})
    api.objects[PATH.replace("/mesh", "/other")] = live(other)
    assert client.apply([other, MAP], "pair") == ["ConfigMap istio-system/mesh"]
    assert len(writes(api)) == 1


@pytest.mark.parametrize(
    ("owner", "whose"), [("", "somebody else"), ("triple", "environment triple")]
)
def test_what_belongs_to_others_is_never_taken_over(api, client, owner, whose):
    api.objects[PATH] = live(MAP, owner=owner)
    with pytest.raises(Rejected, match=f"ConfigMap istio-system/mesh .* belongs to {whose}") as e:
        client.apply([MAP], "pair")
    assert (e.value.cluster, bool(e.value.hint)) == ("beijing", True)
    assert not writes(api)


def test_without_an_owner_nothing_is_labelled_and_everybodys_is_ours(api, access):
    client = kube.Kube(access)
    api.objects[PATH] = live({**MAP, "data": {}}, owner="pair")
    client.apply([MAP], owner="")
    [(_, _, body)] = writes(api)
    assert "labels" not in body["metadata"]


def test_a_kind_that_is_not_served_yet_may_be_served_later(api, client, monkeypatch):
    thing = {"apiVersion": "v1", "kind": "Thing", "metadata": {"name": "x"}}
    with pytest.raises(NotReady, match="Thing x: kind not served yet"):
        client.apply([thing], "pair")
    assert not client.serves("v1", "Thing")
    more = {"resources": [*DISCOVERY["/api/v1"]["resources"], resource("things", "Thing", False)]}
    monkeypatch.setitem(DISCOVERY, "/api/v1", more)
    assert client.apply([thing], "pair") == ["Thing x"]


def test_what_is_not_there_is_none_and_no_error(api, client):
    assert client.get("ConfigMap", "mesh", "istio-system") is None
    assert client.get("Thing", "x") is None
    assert client.objects("Thing") == []
    assert client.delete(MAP) is False
    assert client.has_object(live(MAP)) is False


def test_objects_say_what_they_are_and_are_chosen_by_label(api, client):
    found = {"metadata": {"name": "mesh", "namespace": "istio-system"}}
    api.objects["/api/v1/namespaces/istio-system/configmaps"] = {"items": [found]}
    [one] = client.objects("ConfigMap", "istio-system", labels="a=b,c=d")
    assert (one["apiVersion"], one["kind"], one["metadata"]) == (
        "v1",
        "ConfigMap",
        found["metadata"],
    )
    assert "?labelSelector=a%3Db%2Cc%3Dd&" in api.requests[-1][1]


def paged(api, pages):
    """Have the server answer a list page by page; None is one that it has forgotten."""

    class Paged(Handler):
        def do_GET(self):
            if not self.path.startswith(LIST):
                return self.answer()
            asked = parse_qs(urlsplit(self.path).query)
            whole = [item for page in pages for item in page or ["lost"]]
            number = int(asked.get("continue", ["0"])[0])
            page = pages[number] if "limit" in asked else whole
            more = "limit" in asked and pages[number + 1 :]
            said = {
                "metadata": {"continue": str(number + 1)} if more else {},
                "items": [{"metadata": {"name": name}} for name in page or ()],
            }
            self.server.refusal = (410, {"reason": "Expired"}) if page is None else (200, said)
            self.answer()
            self.server.refusal = None

    api.RequestHandlerClass = Paged


@pytest.mark.parametrize(
    ("pages", "names"),
    [
        ([["a"]], ["a"]),
        ([["a", "b"], ["c"], ["d"]], ["a", "b", "c", "d"]),
        ([["a", "b"], None, ["d"]], ["a", "b", "lost", "d"]),
        ([[]], []),
    ],
)
def test_a_large_cluster_is_listed_in_pages_and_whole(api, client, pages, names):
    paged(api, pages)
    found = client.objects("ConfigMap", "istio-system")
    assert [m["metadata"]["name"] for m in found] == names
    assert "limit=500" in next(path for _, path, *_ in api.requests if path.startswith(LIST))


def test_an_object_of_the_same_name_that_came_later_is_another(api, client):
    api.objects[PATH] = live(MAP)
    assert client.has_object(live(MAP))
    api.objects[PATH]["metadata"]["uid"] = "2"
    assert not client.has_object(live(MAP))


def test_what_an_object_owns_goes_with_it(api, client):
    api.objects[PATH] = live(MAP)
    assert client.delete(MAP) is True
    verb, path, *_ = api.requests[-1]
    assert (verb, path) == ("DELETE", f"{PATH}?propagationPolicy=Background")


def test_some_fields_of_what_exists_are_changed_and_no_others(api, client):
    client.merge_patch("ConfigMap", "mesh", {"data": {"a": "b"}}, "istio-system")
    [(path, headers, body)] = writes(api)
    assert (path, body) == (PATH, {"data": {"a": "b"}})
    assert headers["Content-Type"] == "application/merge-patch+json"


def test_a_cluster_is_known_by_what_no_other_has(api, client):
    with pytest.raises(NotReady, match="kube-system"):
        client.uid()
    api.objects["/api/v1/namespaces/kube-system"] = {"metadata": {"uid": "abc"}}
    assert client.uid() == "abc"


@pytest.mark.parametrize("status", [408, 409, 429, 500, 502, 503, 504])
def test_a_server_that_may_answer_later_is_unreachable(api, client, status):
    api.refusal = status, {"message": "come back"}
    with pytest.raises(ClusterUnreachable) as caught:
        client.apply([MAP], "pair")
    assert caught.value.exit_code == 69
    assert_told(caught.value, f"cannot GET {PATH}", f"HTTP {status}", "come back")


def unkind(api, answers):
    """Make the server give these answers before its own.

    A status; None for a cut connection; bytes for all that comes of an answer before it is cut.
    """

    class Unkind(Handler):
        def answer(self):
            if not answers:
                return super().answer()
            status = answers.pop(0)
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if not isinstance(status, int):
                self.close_connection = True
                self.wfile.write(status or b"")
                return self.connection.close()
            self.send_response(status)
            self.send_header("Retry-After", "0")
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_GET = do_PATCH = do_DELETE = answer  # noqa: N815

    api.RequestHandlerClass = Unkind


HEAD = b"HTTP/1.1 200 OK\r\nAudit-Id: 1\r\nContent-Type: application/json\r\n"
CUT = [
    b"HTTP/1.",
    b"HTTP/1.1 2",
    b"HTTP/1.1 200",
    b"HTTP/1.1 200 OK\r\nAud",
    HEAD,
    HEAD + b"Content-Length: 4",
    HEAD + b"Content-Length: 40\r\n\r\n",
    HEAD + b'Content-Length: 40\r\n\r\n{"kind": ',
    HEAD + b'Transfer-Encoding: chunked\r\n\r\n9\r\n{"kind": ',
    HEAD + b'Transfer-Encoding: chunked\r\n\r\n9\r\n{"kind": \r\n',
    HEAD + b'\r\n{"kind": "Con',
]
"""Answers as they come through a connection that is cut, at every kind of place."""


@pytest.mark.parametrize(
    "answers", [[429], [500, 503], [None], [504, None, 429], *([cut] for cut in CUT)]
)
def test_what_passes_in_a_moment_is_not_seen_outside(api, access, monkeypatch, answers):
    monkeypatch.setattr(api_server, "RETRY_INTERVAL", 0.01)
    unkind(api, answers)
    assert kube.Kube(access).apply([MAP], "pair") == ["ConfigMap istio-system/mesh"]
    assert len(writes(api)) == 1 and not answers


def test_a_write_that_is_tried_again_asks_for_the_runs_turn_again(api, access, monkeypatch):
    monkeypatch.setattr(api_server, "RETRY_INTERVAL", 0.01)

    class Refusing(Handler):
        def do_PATCH(self):
            self.server.refusal = 503, {}
            self.answer()
            self.server.refusal = None

    api.RequestHandlerClass = Refusing
    checks = []

    def check():
        checks.append(1)
        if len(checks) > 1:
            raise Busy("the turn has ended")

    with polling.check_before_changes(check), pytest.raises(Busy):
        kube.Kube(access).apply([MAP], "pair")
    assert len(writes(api)) == 1


def test_a_server_that_wants_to_be_left_alone_for_long_says_so_to_whoever_waits(api, client):
    class Busy(Handler):
        def do_GET(self):
            self.send_response(429)
            self.send_header("Retry-After", "30")
            self.send_header("Content-Length", "0")
            self.end_headers()

    api.RequestHandlerClass = Busy
    with pytest.raises(ClusterUnreachable) as caught:
        client.get("ConfigMap", "mesh", "istio-system")
    assert caught.value.retry_after == 30
    assert not caught.value.timed_out


@pytest.mark.parametrize("status", [400, 401, 403, 405, 422])
def test_a_server_that_says_no_means_it(api, client, status):
    api.refusal = status, {"message": "no, because"}
    with pytest.raises(Rejected) as caught:
        client.apply([MAP], "pair")
    assert_told(caught.value, f"cannot GET {PATH}", f"HTTP {status}", "no, because")


def test_a_refused_write_names_what_was_written(api, client):
    api.objects[PATH] = live({**MAP, "data": {}})
    client.get("ConfigMap", "mesh", "istio-system")
    refuse_patches(api, 422, "spec is wrong")
    with pytest.raises(Rejected) as caught:
        client.apply([MAP], "pair")
    assert_told(caught.value, f"cannot PATCH {PATH}", "HTTP 422", "spec is wrong")


def refuse_patches(api, status, message):
    class Refusing(Handler):
        def do_PATCH(self):
            self.server.refusal = status, {"message": message}
            self.answer()
            self.server.refusal = None

    api.RequestHandlerClass = Refusing


def assert_told(error, *parts):
    text = str(error)
    assert text.startswith("beijing: ")
    assert TOKEN not in text
    for part in parts:
        assert part in text


def test_a_server_that_is_gone_is_unreachable(api, client):
    api.shutdown()
    api.server_close()
    with pytest.raises(ClusterUnreachable) as caught:
        client.get("ConfigMap", "mesh", "istio-system")
    assert_told(caught.value, "cannot GET /api/v1")
    assert caught.value.exit_code == 69


def test_an_answer_that_is_no_kubernetes_is_cut_and_told(api, client):
    api.refusal = 503, b"<html>" + b"x" * 5000
    with pytest.raises(ClusterUnreachable, match="<html>") as caught:
        client.get("ConfigMap", "mesh", "istio-system")
    assert len(str(caught.value)) < 800


@pytest.mark.parametrize("page", [b"<html>log in</html>", b"", b"OK"])
def test_a_page_of_something_else_is_no_object(api, client, page):
    api.refusal = 200, page
    with pytest.raises(ClusterUnreachable, match="not an API server") as caught:
        client.get("ConfigMap", "mesh", "istio-system")
    assert "`server`" in caught.value.hint


@pytest.mark.parametrize("status", [400, 422])
def test_a_secret_that_is_refused_is_not_repeated_in_the_message(api, client, status):
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "cacerts", "namespace": "istio-system"},
        "data": {"ca-key.pem": "Y2FuYXJ5"},
    }
    refuse_patches(api, status, 'data[ca-key.pem]: Invalid value: "Y2FuYXJ5"')
    with pytest.raises(Rejected, match=f"HTTP {status}") as caught:
        client.apply([secret], "pair")
    assert "Y2FuYXJ5" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "context"),
    [(None, "admin"), ("", "admin"), ("{}", "admin"), ("a: [", "admin"), (..., "nobody")],
    ids=["missing", "empty", "hollow", "no yaml", "context unknown"],
)
def test_a_kubeconfig_that_leads_nowhere_is_told_with_where_to_look(access, content, context):
    if content is None:
        access.kubeconfig.unlink()
    elif content is not ...:
        access.kubeconfig.write_text(content)
    client = kube.Kube(access.model_copy(update={"context": context}))
    with pytest.raises(Unprepared) as caught:
        client.get("ConfigMap", "mesh")
    assert_told(caught.value, str(access.kubeconfig), "config get-contexts")


def test_the_users_own_kubeconfig_is_not_looked_at(access, monkeypatch, tmp_path):
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "theirs"))
    (tmp_path / "theirs").write_text("no: kubeconfig")
    assert kube.Kube(access).kinds.path("v1", "ConfigMap")


def test_one_client_a_cluster_until_it_is_forgotten(access):
    first = kube.connect(access)
    assert kube.connect(access.model_copy()) is first
    assert kube.connect(access.model_copy(update={"cluster": "shanghai"})) is not first
    kube.clear_clients()
    assert kube.connect(access) is not first
