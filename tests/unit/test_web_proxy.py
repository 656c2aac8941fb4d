"""Proxies of the shell: for whom they hold, whoever reads them, however they are written."""

import os
import socket
import threading
import urllib.request
from types import SimpleNamespace

import httpx
import mirrors
import pytest
import socksproxy
from fakes import limit

from isthmus.adapters import connectivity, download, kube, kube_client, web_proxy
from isthmus.adapters.api_server import ApiServer
from isthmus.errors import ClusterUnreachable, Unprepared
from isthmus.step_results import Access

PROXY = "http://127.0.0.1:7890"
CLASH = {"ALL_PROXY": "socks5://127.0.0.1:7890", "NO_PROXY": "127.0.0.1,localhost"}
GNOME = {"all_proxy": "socks://127.0.0.1:7890/", "no_proxy": "localhost,127.0.0.0/8,::1"}
EVERY = {"HTTP_PROXY": PROXY, "HTTPS_PROXY": PROXY, "ALL_PROXY": PROXY}
HERE = [
    "https://198.18.3.2:6443",
    "https://198.19.0.1",
    "http://127.0.0.1:4200/api",
    "http://localhost:4200",
    "http://127.8.8.8",
    "http://[::1]:4200",
    "wss://127.0.0.1:1",
]


@pytest.fixture(autouse=True)
def shell():
    """Return a function that makes the shell's proxies these and no others."""
    names = [*web_proxy.NAMES, *map(str.lower, web_proxy.NAMES), web_proxy.SAVED_VARIABLE]

    def said(variables, settled=False):
        for name in names:
            os.environ.pop(name, None)
        os.environ.update(variables)
        if settled:
            web_proxy.set_proxy_variables()

    before = dict(os.environ)
    said({})
    yield said
    said({k: v for k, v in before.items() if k in names})


@pytest.mark.parametrize("settled", [False, True])
@pytest.mark.parametrize("variables", [EVERY, CLASH, GNOME, {"https_proxy": "ftp://x"}])
@pytest.mark.parametrize("url", HERE)
def test_this_machine_and_the_lab_are_never_asked_through_a_proxy(shell, variables, settled, url):
    shell(variables, settled)
    assert web_proxy.proxy_for(url) is None and web_proxy.cluster_proxy(url) is None


CHOICES = [
    # variables, URL, as curl, as kubectl
    ({"HTTPS_PROXY": PROXY}, "https://one.example", PROXY, PROXY),
    ({"HTTPS_PROXY": PROXY}, "http://one.example", None, None),
    ({"https_proxy": PROXY}, "wss://one.example", PROXY, PROXY),
    ({"HTTPS_PROXY": "http://up:1", "https_proxy": PROXY}, "https://one.example", PROXY, PROXY),
    ({"HTTPS_PROXY": PROXY, "https_proxy": ""}, "https://one.example", None, None),
    ({"HTTPS_PROXY": " "}, "https://one.example", None, None),
    ({"HTTPS_PROXY": "127.0.0.1:7890"}, "https://one.example", PROXY, PROXY),
    ({"HTTPS_PROXY": "http://p"}, "https://one.example", "http://p:80", "http://p:80"),
    (
        {"HTTPS_PROXY": "u:p@[::1]"},
        "https://one.example",
        "http://u:p@[::1]:80",
        "http://u:p@[::1]:80",
    ),
    ({"ALL_PROXY": "SOCKS://p/"}, "https://one.example", "socks5://p:1080/", None),
    ({"ALL_PROXY": PROXY}, "https://one.example", PROXY, None),
    (CLASH, "https://one.example", "socks5://127.0.0.1:7890", None),
    (GNOME, "https://one.example", "socks5://127.0.0.1:7890/", None),
    ({"HTTPS_PROXY": "socks5h://p:1"}, "https://one.example", "socks5h://p:1", "socks5h://p:1"),
]


@pytest.mark.parametrize("settled", [False, True])
@pytest.mark.parametrize(("variables", "url", "curl", "kubectl"), CHOICES)
def test_others_are_asked_as_curl_and_kubectl_would_ask(
    shell, variables, url, curl, kubectl, settled
):
    shell(variables, settled)
    assert (web_proxy.proxy_for(url), web_proxy.cluster_proxy(url)) == (curl, kubectl)


LISTS = [
    ("one.example", "https://one.example", True),
    ("one.example", "https://api.one.example", True),
    ("one.example", "https://zone.example", False),
    (".one.example", "https://api.one.example", True),
    (".one.example", "https://one.example", False),
    ("*.one.example", "https://api.one.example", True),
    ("ONE.example", "https://one.EXAMPLE:6443", True),
    ("one.example:6443", "https://one.example:6443", True),
    ("one.example:6443", "https://one.example", False),
    ("one.example:443", "https://one.example", True),
    ("10.0.0.0/8", "https://10.9.9.9:6443", True),
    ("10.0.0.0/8", "https://11.9.9.9:6443", False),
    ("10.9.9.9", "https://10.9.9.9:6443", True),
    ("10.9.9.9:443", "https://10.9.9.9:6443", False),
    ("fd00::/8", "https://[fd00::1]:6443", True),
    ("fd00::/8", "https://[fe80::1]:6443", False),
    ("fd00::1", "https://[fd00::1]", True),
    ("[fd00::1]", "https://[fd00::1]", True),
    ("[fd00::1]:443", "https://[fd00::1]", True),
    ("[fd00::1]:443", "https://[fd00::1]:6443", False),
    ("a, b one.example", "https://one.example", True),
    ("*", "https://one.example", True),
    (",,", "https://one.example", False),
    ("300.0.0.0/8,://,[", "https://10.0.0.1", False),
]


@pytest.mark.parametrize("settled", [False, True])
@pytest.mark.parametrize("name", ["NO_PROXY", "no_proxy"])
@pytest.mark.parametrize(("entry", "url", "directly"), LISTS)
def test_no_proxy_is_read_in_every_way_it_is_written(shell, name, entry, url, directly, settled):
    shell({"HTTPS_PROXY": PROXY, name: entry}, settled)
    assert (web_proxy.cluster_proxy(url) is None) == directly
    if settled:
        httpx.Client().close()  # which raises at entries that it does not know


def test_both_spellings_of_no_proxy_hold_in_every_program(shell):
    shell({"https_proxy": PROXY, "no_proxy": "10.0.0.0/8", "NO_PROXY": ".one.example"}, True)
    for url in ("https://10.1.1.1", "https://a.one.example"):
        assert web_proxy.cluster_proxy(url) is None
    for name in ("no_proxy", "NO_PROXY"):
        told = web_proxy.for_programs()[name].split(",")
        assert {"10.0.0.0/8", ".one.example", "127.0.0.1", "198.18.0.0/15"} <= set(told)


def test_programs_written_in_go_get_what_go_knows(shell):
    shell(GNOME, settled=True)
    assert "HTTPS_PROXY" not in web_proxy.for_programs()
    everything = web_proxy.for_programs(everything=True)
    assert everything["HTTPS_PROXY"] == everything["https_proxy"] == "socks5://127.0.0.1:7890/"
    shell({"HTTPS_PROXY": "socks5h://127.0.0.1:1"}, settled=True)
    assert web_proxy.for_programs()["HTTPS_PROXY"] == "socks5://127.0.0.1:1"


BROKEN = ["ftp://secret@host:1", "quic://secret@host", "http://secret@:80", "http://h:secret",
          "http://[secret", "socks4://secret@host:1"]  # fmt: skip


@pytest.mark.parametrize("settled", [False, True])
@pytest.mark.parametrize("proxy", BROKEN)
def test_a_proxy_that_cannot_be_used_is_told_where_it_is_needed_and_only_there(
    shell, proxy, settled, tmp_path
):
    shell({"HTTPS_PROXY": proxy}, settled)
    with pytest.raises(Unprepared, match="HTTPS_PROXY names a proxy") as caught:
        web_proxy.proxy_for("https://one.example")
    assert "secret" not in f"{caught.value} {caught.value.hint}"
    with pytest.raises(Unprepared, match="HTTPS_PROXY"):
        download.fetch("https://one.example/file", tmp_path / "file")
    assert "HTTPS_PROXY" not in web_proxy.for_programs()


@pytest.mark.parametrize("variables", [EVERY, CLASH, GNOME, {"ALL_PROXY": "ftp://x"}])
def test_pythons_libraries_take_what_is_left_for_them(shell, variables):
    shell({**variables, "NO_PROXY": "fe80::/10,[::1],http://x,a:99999,*.b.example"}, settled=True)
    httpx.Client().close()
    for host in ("localhost", "127.0.0.1", "::1"):
        assert urllib.request.proxy_bypass(host)


KUBECONFIG = """
apiVersion: v1
kind: Config
clusters: [{name: one, cluster: {server: "SERVER"MORE}}]
users: [{name: one, user: {token: x}}]
contexts: [{name: one, context: {cluster: one, user: one}}]
"""


@pytest.fixture
def access(tmp_path):
    def written(server, more=""):
        path = tmp_path / "kubeconfig"
        path.write_text(KUBECONFIG.replace("SERVER", server).replace("MORE", more))
        return Access(cluster="one", kubeconfig=path, context="one")

    return written


@pytest.mark.parametrize("variables", [EVERY, CLASH, GNOME, {"HTTPS_PROXY": "ftp://x"}])
def test_a_client_asks_a_region_of_the_lab_directly(shell, access, variables):
    shell(variables, settled=True)
    assert not kube_client.new_client(access("https://198.18.3.2:6443")).configuration.proxy


def test_a_client_asks_another_cluster_through_the_proxy_and_knows_its_password(shell, access):
    shell({"HTTPS_PROXY": "http://user:p%40ss@127.0.0.1:7890"})
    found = kube_client.new_client(access("https://one.example")).configuration
    assert found.proxy == PROXY
    assert found.proxy_headers == {"proxy-authorization": "Basic dXNlcjpwQHNz"}


def test_proxy_url_of_a_kubeconfig_goes_before_the_shell_and_its_list(shell, access):
    shell({"HTTPS_PROXY": PROXY, "NO_PROXY": "one.example"})
    kept = access("https://one.example", ', proxy-url: "socks5://127.0.0.1:1"')
    api = kube_client.new_client(kept)
    assert api.configuration.proxy == "socks5://127.0.0.1:1"
    assert "SOCKS" in type(api.rest_client.pool_manager).__name__
    with pytest.raises(Unprepared, match="proxy-url"):
        kube_client.new_client(access("https://one.example", ", proxy-url: quic://x"))


@pytest.fixture
def listener():
    """Return a server of TCP that tells what it was asked and refuses it as a proxy does."""
    heard = []
    server = socket.create_server(("127.0.0.1", 0))

    def serve():
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            with connection:
                heard.append(connection.recv(4096))
                connection.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")

    threading.Thread(target=serve, daemon=True).start()
    yield SimpleNamespace(port=server.getsockname()[1], heard=heard)
    server.shutdown(socket.SHUT_RDWR)
    server.close()


@pytest.mark.parametrize("scheme", ["http", "socks5"])
def test_a_proxy_that_refuses_or_is_dead_is_told_by_its_variable(shell, access, listener, scheme):
    with socket.create_server(("127.0.0.1", 0)) as probe:
        dead = probe.getsockname()[1]
    for port in (dead, listener.port):
        shell({"https_proxy": f"{scheme}://127.0.0.1:{port}"})
        with pytest.raises(
            ClusterUnreachable, match="through the proxy in HTTPS_PROXY failed"
        ) as caught:
            connectivity.get_server_version(ApiServer(access("https://one.example")))
        assert "NO_PROXY=one.example" in caught.value.hint
        with pytest.raises(ClusterUnreachable, match="the proxy in HTTPS_PROXY"):
            kube.Kube(access("https://one.example")).version()
    assert listener.heard


def test_a_file_of_outside_is_fetched_through_the_proxy_and_the_variable_told(
    shell, listener, tmp_path, monkeypatch
):
    limit(monkeypatch, download=0.1)
    shell({"ALL_PROXY": f"http://127.0.0.1:{listener.port}"}, settled=True)
    with pytest.raises(Unprepared) as caught:
        download.fetch("https://one.example/file", tmp_path / "file")
    assert "ALL_PROXY" in caught.value.hint
    assert listener.heard[0].startswith(b"CONNECT one.example:443")


def test_a_lab_that_is_elsewhere_is_asked_directly_too(shell, tmp_path, monkeypatch):
    monkeypatch.setenv("ISTHMUS_HOME", str(tmp_path))
    record = tmp_path / "environments/pair/network.json"
    record.parent.mkdir(parents=True)
    record.write_text('{"id": "abc", "subnet": "10.77.5.0/24"}')
    (record.parent.parent / "broken").mkdir()
    (record.parent.parent / "broken/network.json").write_text("{")
    shell(EVERY)
    assert web_proxy.cluster_proxy("https://10.77.5.2:6443") is None
    assert web_proxy.cluster_proxy("https://10.77.6.2:6443") == PROXY
    assert "10.77.5.0/24" in web_proxy.for_programs()["NO_PROXY"].split(",")


@pytest.fixture
def web():
    with mirrors.serving() as made:
        made.files["/version"] = b'{"gitVersion": "v1.36.3"}'
        yield made


@pytest.mark.parametrize("scheme", ["socks5", "socks5h", "socks"])
def test_what_is_behind_a_socks_proxy_is_reached_through_it(shell, web, tmp_path, access, scheme):
    with socksproxy.serving(int(web.url.rpartition(":")[2])) as proxy:
        found = f"{scheme}://127.0.0.1:{proxy.port}"
        shell({"all_proxy": found}, settled=True)
        # An address for socks5: with that, httpx and urllib3 want to know it before they ask.
        assert download.fetch("http://192.0.2.7/version", tmp_path / "file") is True
        shell({"http_proxy": found}, settled=True)
        assert (
            connectivity.get_server_version(ApiServer(access("http://192.0.2.7")))[1] == "v1.36.3"
        )
    assert len(proxy.names) == 2


def test_a_run_s_own_variables_go_before_those_of_the_shell_that_started_its_worker(shell):
    shell({"HTTPS_PROXY": "http://old:1", "no_proxy": "fd00::/8"}, settled=True)
    os.environ |= {"HTTPS_PROXY": PROXY, "NO_PROXY": f"{os.environ['NO_PROXY']},two.example"}
    assert web_proxy.cluster_proxy("https://one.example") == PROXY
    assert web_proxy.cluster_proxy("https://two.example") is None
    assert web_proxy.cluster_proxy("https://[fd00::1]") is None
    os.environ["HTTPS_PROXY"] = ""
    assert web_proxy.cluster_proxy("https://one.example") is None


def test_settling_twice_is_settling_once(shell):
    shell({"HTTPS_PROXY": PROXY, "NO_PROXY": "fd00::/8"}, settled=True)
    before = dict(os.environ)
    web_proxy.set_proxy_variables()
    assert dict(os.environ) == before
    assert web_proxy.cluster_proxy("https://[fd00::1]") is None
