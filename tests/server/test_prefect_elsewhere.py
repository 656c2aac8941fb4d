"""A person's own Prefect server, as companies put one up: behind TLS, a header and a prefix.

It is a real server; what stands before it is a small proxy of this test, which lets no websocket
through, as many do.
"""

import http.client
import ipaddress
import json
import os
import ssl
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import urlsplit

import pytest
import socksproxy
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from prefects import SUM_UP

from isthmus.cli import prefect_client

GATE = "canary-in-a-header"
ROOT = Path(__file__).parents[2]
SETTLED = f"from isthmus.adapters import web_proxy\nweb_proxy.set_proxy_variables()\n{SUM_UP}"
CANCEL = """
import sys
from isthmus.cli import prefect_client, prefect_setup
with prefect_setup.server_context("mine"):
    from prefect import get_client
    from prefect.states import Running
    from prefect import flow
    @flow
    def sleeper(): pass
    with get_client(sync_client=True) as asked:
        run = asked.create_flow_run(sleeper, state=Running(), tags=["mine"])
        prefect_client.cancel("mine", "interrupted by SIGTERM")
        print(asked.read_flow_run(run.id).state.name)
"""


class Front(BaseHTTPRequestHandler):
    """The proxy: /prefix alone, the header asked for, no websocket."""

    protocol_version = "HTTP/1.1"

    def _pass(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.asked.append(self.path)
        if self.headers.get("X-Gate") != GATE:
            return self._answer(403, b"no gate")
        if not self.path.startswith("/prefix/") or self.headers.get("Upgrade"):
            self.server.upgrades += bool(self.headers.get("Upgrade"))
            return self._answer(404, b"nothing here")
        back = http.client.HTTPConnection(self.server.back, timeout=60)
        headers = {k: v for k, v in self.headers.items() if k.lower() not in ("host", "connection")}
        back.request(self.command, self.path.removeprefix("/prefix"), body, headers)
        answer = back.getresponse()
        kept = [(k, v) for k, v in answer.headers.items() if k.lower().startswith("content-")]
        self._answer(answer.status, answer.read(), kept)

    def _answer(self, status, body, headers=()):
        self.send_response(status)
        for name, value in headers:
            if name.lower() != "content-length":
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _pass  # noqa: N815

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def front(prefect_server, tmp_path_factory):
    """Return the proxy's API and what a person sets to reach it."""
    folder = tmp_path_factory.mktemp("front")
    server = ThreadingHTTPServer(("127.0.0.1", 0), Front)
    server.daemon_threads, server.asked, server.upgrades = True, [], 0
    server.back = urlsplit(prefect_server[0]).netloc
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate(folder))
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, args=[0.05], daemon=True).start()
    told = {
        "PREFECT_API_URL": f"https://127.0.0.1:{server.server_port}/prefix/api",
        "PREFECT_API_SSL_CERT_FILE": str(folder / "ca.pem"),
        "PREFECT_CLIENT_CUSTOM_HEADERS": json.dumps({"X-Gate": GATE}),
        "PREFECT_CLIENT_MAX_RETRIES": "50",
    }
    yield SimpleNamespace(told=told, server=server)
    server.shutdown()
    server.server_close()


def certificate(folder):
    """Write a certificate for 127.0.0.1 that signs itself, and its key; return the file."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a private CA")])
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = made.public_bytes(serialization.Encoding.PEM)
    (folder / "ca.pem").write_bytes(pem)
    secret = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    (folder / "both.pem").write_bytes(pem + secret)
    return folder / "both.pem"


@pytest.fixture
def run(front, tmp_path):
    """Return a function that runs Python as a person would who uses that server."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("PREFECT_")}
    base = {**kept, **front.told, "ISTHMUS_HOME": str(tmp_path / "home")}

    def ran(*arguments, cwd=tmp_path, **variables):
        told = {k: v for k, v in {**base, **variables}.items() if v is not None}
        return subprocess.run(
            [sys.executable, *arguments],
            env=told, cwd=cwd, capture_output=True, text=True, timeout=240,
        )  # fmt: skip

    return ran


def isthmus(*arguments):
    return ["-c", "from isthmus.cli.main import main; main()", *arguments]


def test_a_flow_is_recorded_there_without_a_websocket(run, front):
    done = run("-c", SUM_UP)
    assert (done.stdout, done.stderr) == ("12\n", "")
    assert any(path.startswith("/prefix/api/flow_runs") for path in front.server.asked)


def test_a_server_behind_a_socks_proxy_is_reached_through_it(run, front):
    with socksproxy.serving(int(front.server.back.rpartition(":")[2])) as proxy:
        own = {name: None for name in front.told if name != "PREFECT_CLIENT_MAX_RETRIES"}
        api = {"PREFECT_API_URL": "http://prefect.example/api", "NO_PROXY": "", "no_proxy": ""}
        done = run("-c", SETTLED, **own | api, ALL_PROXY=f"socks5h://127.0.0.1:{proxy.port}")
    assert (done.stdout, done.stderr) == ("12\n", "")
    assert set(proxy.names) == {"prefect.example"}


def test_a_run_that_is_given_up_is_cancelled_there(run):
    done = run("-c", CANCEL)
    assert done.stdout.splitlines() == ["Cancelled"], done.stderr


def test_deploying_shows_the_pages_where_the_person_says_they_are(run, tmp_path):
    path = tmp_path / "prefect.yaml"
    text = (ROOT / "deployments/prefect.yaml").read_text().replace("name: isthmus\n", "name: x\n")
    path.write_text(text.split("\n- name: build", 1)[0].replace("name: rebuild", "name: elsewhere"))
    (tmp_path / "lab.yaml").write_text((ROOT / "deployments/lab.yaml").read_text())
    done = run(*isthmus("deploy", "prefect.yaml"), PREFECT_UI_URL="https://pages.example/prefect")
    assert done.returncode == 0, done.stderr
    assert "pages: https://pages.example/prefect/deployments" in done.stderr
    again = run(*isthmus("deploy", "prefect.yaml"))
    assert "unchanged" in again.stdout
    assert "/prefix/v2/deployments" in again.stderr


REFUSED = [
    ({"PREFECT_API_SSL_CERT_FILE": None}, "VERIFY_FAILED", "PREFECT_API_SSL_CERT_FILE="),
    ({"PREFECT_API_SSL_CERT_FILE": "absent.pem"}, "absent.pem", "PREFECT_API_SSL_CERT_FILE"),
    ({"PREFECT_CLIENT_CUSTOM_HEADERS": None}, "answered HTTP 403", "PREFECT_CLIENT_CUSTOM_H"),
    ({"PREFECT_CLIENT_CUSTOM_HEADERS": "{"}, "PREFECT_CLIENT_CUSTOM_HEADERS", "correct it"),
    ({"PREFECT_API_REQUEST_TIMEOUT": "soon"}, "PREFECT_API_REQUEST_TIMEOUT", "correct it"),
]  # fmt: skip


@pytest.mark.parametrize(("variables", "said", "hint"), REFUSED)
def test_what_is_wrong_with_a_persons_own_setting_is_told_by_its_name(
    run, tmp_path, variables, said, hint
):
    (tmp_path / "prefect.yaml").write_text((ROOT / "deployments/prefect.yaml").read_text())
    done = run(*isthmus("deploy", "prefect.yaml"), **variables)
    assert done.returncode == 69, done.stderr
    assert said in done.stderr and hint in done.stderr
    assert "Traceback" not in done.stderr and GATE not in done.stderr


def test_an_address_without_its_prefix_is_told(run, tmp_path, front):
    (tmp_path / "prefect.yaml").write_text((ROOT / "deployments/prefect.yaml").read_text())
    api = front.told["PREFECT_API_URL"].replace("/prefix", "")
    done = run(*isthmus("deploy", "prefect.yaml"), PREFECT_API_URL=api)
    assert done.returncode == 69
    assert "no Prefect server answers" in done.stderr and "HTTP 404" in done.stderr


SETTINGS = {
    "prefect.toml": '[api]\nrequest_timeout = "soon"\n',
    ".env": "PREFECT_API_URL=http://127.0.0.1:9/api\nPREFECT_LOGGING_LEVEL=LOUD\n",
    "pyproject.toml": "[tool.prefect\n",
    "yaml.py": "raise SystemExit('not this one')\n",
}


@pytest.mark.parametrize("name", SETTINGS)
def test_settings_of_the_folder_one_stands_in_are_nobodys(run, tmp_path, name):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / name).write_text(SETTINGS[name])
    script = tmp_path / "script.py"  # as an installed command, which does not look around itself
    script.write_text(SUM_UP)
    done = run(str(script), cwd=tmp_path / "folder", PREFECT_LOGGING_LEVEL="LOUD")
    assert (done.stdout, done.stderr) == ("12\n", "")


def test_a_broken_profile_of_the_person_is_told_by_its_file(run, tmp_path):
    (tmp_path / "prefect.yaml").write_text((ROOT / "deployments/prefect.yaml").read_text())
    profile = tmp_path / "profiles.toml"
    profile.write_text('active = "one"\n[profiles.one]\nPREFECT_API_REQUEST_TIMEOUT = "soon"\n')
    done = run(*isthmus("deploy", "prefect.yaml"), PREFECT_PROFILES_PATH=str(profile))
    assert done.returncode == 69, done.stderr
    assert str(profile) in done.stderr and "Traceback" not in done.stderr


def test_what_another_thread_has_to_say_while_prefect_is_read_is_heard(capsys, monkeypatch):
    inside, go_on = threading.Event(), threading.Event()

    def slow(name):
        print("what Prefect says of a setting", file=sys.stderr)
        inside.set()
        assert go_on.wait(20)
        raise ImportError(name)

    monkeypatch.setattr(prefect_client.importlib, "import_module", slow)

    def read():
        with pytest.raises(ImportError):
            prefect_client.load()

    thread = threading.Thread(target=read)
    thread.start()
    assert inside.wait(20)
    print("isthmus: interrupted by SIGINT", file=sys.stderr)
    go_on.set()
    thread.join()
    assert capsys.readouterr().err == "isthmus: interrupted by SIGINT\n"
