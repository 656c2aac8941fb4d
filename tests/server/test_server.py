"""The local Prefect server: started once, recognised again, ended; what is told if it cannot."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading

import pytest
from click.testing import CliRunner
from prefects import SUM_UP, alive, ask, free_port

from isthmus import events, polling
from isthmus.adapters import (
    prefect_api,
    prefect_record,
    prefect_server,
    prefect_settings,
    prefect_start,
    prefect_supervisor,
    processes,
)
from isthmus.adapters.prefect_settings import Options
from isthmus.cli import prefect_client, prefect_setup
from isthmus.cli.main import isthmus
from isthmus.errors import Unprepared

HEALTHY = """
import base64, http.server, json, os, pathlib, signal, sys
home = pathlib.Path(sys.argv[1])
pair = base64.b64encode((home / "auth").read_bytes()).decode()
class Health(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        knows_us = self.headers.get("Authorization") == f"Basic {pair}"
        self.send_response(200 if knows_us or self.path == "/api/health" else 401)
        self.end_headers()
        self.wfile.write(b'"3.8.8"' if knows_us else b"null")
    def log_message(self, *_): pass
if "deaf" in sys.argv: signal.signal(signal.SIGTERM, signal.SIG_IGN)
port = json.loads((home / "server.json").read_text())["port"]
server = http.server.HTTPServer(("127.0.0.1", port), Health)
print("umask %o" % os.umask(0), flush=True)
server.serve_forever()
"""


@pytest.fixture
def home(tmp_path, monkeypatch):
    """Return a folder for a server; what was started there is gone afterwards."""
    for name in [name for name in os.environ if name.startswith("PREFECT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setattr(prefect_record, "FIRST_PORT", free_port())
    yield tmp_path / "server"
    prefect_server.stop(tmp_path / "server")


@pytest.fixture
def fake(monkeypatch, tmp_path):
    """Put a small program in the server's place; return a function that chooses another."""

    def put(script=HEALTHY, *arguments):
        program = tmp_path / "fake.py"
        program.write_text(script)

        def command(name, home):
            return [sys.executable, str(program), str(home), *arguments]

        monkeypatch.setattr(prefect_supervisor, "_command", command)

    put()
    return put


def test_a_server_is_started_once_and_found_again(home, fake):
    first = prefect_server.ensure(home)
    again = prefect_server.ensure(home)
    assert (first.started, again.started) == (True, False)
    assert (first.pid, first.url) == (again.pid, again.url)
    assert prefect_server.status(home) == again
    assert first.api == f"{first.url}/api"


def test_two_that_want_it_at_once_start_one(home, fake):
    found = []
    threads = [
        threading.Thread(target=lambda: found.append(prefect_server.ensure(home))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({server.pid for server in found}) == 1
    assert [server.started for server in found].count(True) == 1


def test_a_server_that_was_stopped_is_gone(home, fake):
    server = prefect_server.ensure(home)
    assert prefect_server.stop(home) is True
    assert not alive(server.pid)
    assert prefect_server.status(home) is None
    assert prefect_server.stop(home) is False


def test_a_server_that_is_started_again_is_where_it_was(home, fake, monkeypatch):
    first = prefect_server.ensure(home)
    prefect_server.stop(home)
    monkeypatch.setattr(prefect_record, "FIRST_PORT", free_port())
    assert prefect_server.ensure(home).url == first.url


def test_whoever_listens_where_a_server_was_stopped_is_not_taken_for_it(
    home, fake, monkeypatch, tmp_path
):
    monkeypatch.setenv("ISTHMUS_HOME", str(tmp_path))
    api = prefect_server.ensure(prefect_record.folder()).api
    assert prefect_record.is_own(api)
    prefect_server.stop(prefect_record.folder())
    assert not prefect_record.is_own(api)


def test_a_server_that_does_not_listen_to_reason_is_killed(home, fake, monkeypatch):
    monkeypatch.setattr(prefect_supervisor, "STOP_GRACE", 1)
    fake(HEALTHY, "deaf")
    server = prefect_server.ensure(home)
    assert prefect_server.stop(home) is True
    assert not alive(server.pid)


def test_stopping_where_there_never_was_a_server_writes_nothing(home):
    assert prefect_server.stop(home) is False
    assert not home.exists()


def test_a_recycled_pid_is_never_taken_for_the_server(home, fake):
    home.mkdir()
    bystander = processes.detach([sys.executable, "-c", "import time; time.sleep(60)"], home / "x")
    try:
        place = {"host": "127.0.0.1", "port": 1}
        record = {"pid": bystander.pid, "started": bystander.started - 1, **place}
        (home / "server.json").write_text(json.dumps(record))
        assert prefect_server.status(home) is None
        assert prefect_server.ensure(home).pid != bystander.pid
        prefect_server.stop(home)
        (home / "server.json").write_text(json.dumps(record))
        assert prefect_server.stop(home) is False
        assert bystander.alive
    finally:
        os.kill(bystander.pid, signal.SIGKILL)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"pid": 1}', "null"])
def test_a_damaged_record_is_as_good_as_none(home, fake, text):
    home.mkdir()
    (home / "server.json").write_text(text)
    assert prefect_server.status(home) is None
    assert prefect_server.ensure(home).started


def test_a_port_that_is_taken_is_left_to_whoever_has_it(home, fake):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", prefect_record.FIRST_PORT))
        taken.listen()
        server = prefect_server.ensure(home)
    assert server.url != f"http://127.0.0.1:{prefect_record.FIRST_PORT}"


def test_a_server_whose_port_was_taken_while_it_was_dead_gets_another(home, fake):
    before = prefect_server.ensure(home)
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        os.kill(before.pid, signal.SIGKILL)
        port = prefect_record.address(home).port
        polling.until(lambda: bind(taken, port), "its port", timeout=10, interval=0.01)
        taken.listen()
        record = prefect_record.read(home)
        polling.until(
            lambda: prefect_supervisor.get_program(record, "server").state == "BACKOFF" or None,
            "its restart to fail",
            timeout=30,
            interval=0.05,
        )
        after = prefect_server.ensure(home)
    assert after.url != before.url
    assert prefect_server.status(home).pid == after.pid


def bind(listener, port):
    try:
        listener.bind(("127.0.0.1", port))
    except OSError:
        return None
    return True


def test_a_port_that_was_asked_for_and_is_taken_is_told(home, fake, monkeypatch):
    monkeypatch.setattr(prefect_record, "PORT_WAIT_SECONDS", 0.1)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        prefect_settings.remember(home, Options(port=port, limit=2))
        with pytest.raises(Unprepared, match=f"address already in use: 127.0.0.1:{port}"):
            prefect_server.ensure(home)


@pytest.mark.parametrize("host", ["192.0.2.1", "no such host"])
def test_an_address_that_is_not_this_machines_is_told(home, fake, host):
    prefect_settings.remember(home, Options(host=host, port=4999, limit=2))
    with pytest.raises(Unprepared, match=f"cannot listen on {host}:4999"):
        prefect_server.ensure(home)


def test_what_was_chosen_once_is_chosen_again(home):
    first = prefect_settings.options(home)
    assert (first.host, first.port) == ("127.0.0.1", None) and first.limit >= 2
    prefect_settings.remember(home, first.changed(host="0.0.0.0", port=4711, limit=None))
    again = prefect_settings.options(home)
    assert (again.host, again.port, again.limit) == ("0.0.0.0", 4711, first.limit)


def test_ended_runs_are_kept_for_as_many_days_as_one_says(home, monkeypatch):
    name = "PREFECT_SERVER_SERVICES_DB_VACUUM_RETENTION_PERIOD"
    assert prefect_settings.server(home)[name] == str(90 * 24 * 3600)
    monkeypatch.setenv(prefect_settings.RETENTION_DAYS, "7")
    assert prefect_settings.server(home)[name] == str(7 * 24 * 3600)
    assert "flow_runs" in prefect_settings.SERVER["PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED"]


@pytest.mark.parametrize("days", ["0", "-1", "a week", "1.5"])
def test_a_retention_that_is_no_number_of_days_is_told_before_anything_starts(
    home, fake, monkeypatch, days
):
    monkeypatch.setenv(prefect_settings.RETENTION_DAYS, days)
    with pytest.raises(Unprepared, match="is not a number of days"):
        prefect_server.ensure(home)
    assert not (home / "server.json").exists()


def test_status_tells_where_everything_is_and_no_secret(home, fake, monkeypatch, tmp_path):
    monkeypatch.setenv("ISTHMUS_HOME", str(tmp_path))
    url = prefect_server.ensure(home).url
    done = CliRunner().invoke(isthmus, ["server", "status", "-o", "json"])
    told = json.loads(done.stdout)
    assert (told["running"], told["url"], told["database"]) == (True, url, "sqlite")
    assert told["worker"]["running"] is False and told["worker"]["limit"] >= 2
    assert (told["auth"], told["environment"]) == (f"{home}/auth", f"{home}/prefect.env")
    text = CliRunner().invoke(isthmus, ["server", "status"]).stdout
    assert url in text and "no worker; start it: isthmus server start" in text
    password = prefect_settings.auth(home).partition(":")[2]
    assert len(password) > 20 and password not in text + done.stdout


def test_no_free_port_is_told(home, fake, monkeypatch):
    monkeypatch.setattr(prefect_record, "PORTS", 1)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", prefect_record.FIRST_PORT))
        taken.listen()
        with pytest.raises(Unprepared, match="no free port"):
            prefect_server.ensure(home)


def test_a_server_that_dies_is_told_with_its_last_words_and_its_log(home, fake):
    fake("print('line ' * 3); print('no such option: --colour'); raise SystemExit(2)")
    with pytest.raises(Unprepared) as caught:
        prefect_server.ensure(home)
    assert "no such option: --colour" in str(caught.value)
    assert str(home / "server.log") in caught.value.hint


@pytest.mark.parametrize(
    "words", ["file is not a database", "Can't locate revision identified by 'abc'"]
)
def test_a_database_of_another_version_is_told_with_what_to_move_away(home, fake, words):
    fake(f'print("Traceback"); print("""sqlite3: {words}"""); print("Exiting")')
    with pytest.raises(Unprepared) as caught:
        prefect_server.ensure(home)
    assert words in caught.value.message and "Traceback" not in caught.value.message
    assert f"mv {home} {home}.old" in caught.value.hint


LATE = HEALTHY.replace(
    'server = http', 'if not (home / "tried").exists():\n    (home / "tried").touch()\n'
    '    sys.exit("[Errno 98] address already in use")\nserver = http',
)  # fmt: skip


def test_a_port_that_somebody_took_at_the_last_moment_is_left_to_them(home, fake, monkeypatch):
    fake(LATE)
    free = prefect_record.is_free
    taken = set()

    def is_free(address):
        if (home / "tried").exists() and not taken:
            taken.add(address.port)  # by whoever was there first
        return address.port not in taken and free(address)

    monkeypatch.setattr(prefect_record, "is_free", is_free)
    server = prefect_server.ensure(home)
    assert server.started and str(taken.pop()) not in server.url


def test_a_port_that_somebody_takes_every_time_is_told_as_that(home, fake, monkeypatch):
    monkeypatch.setattr(prefect_server, "PORT_TRIES", 2)
    fake("print('[Errno 98] address already in use'); print('Traceback'); raise SystemExit(1)")
    with pytest.raises(Unprepared, match=r"address already in use: 127\.0\.0\.1:\d+") as caught:
        prefect_server.ensure(home)
    assert "Traceback" not in str(caught.value)


def test_a_server_that_never_answers_is_told_and_can_be_stopped(home, fake, monkeypatch):
    monkeypatch.setattr(prefect_start, "START_TIMEOUT", 0.3)
    fake("import time; time.sleep(600)")
    with pytest.raises(Unprepared) as caught:
        prefect_server.ensure(home)
    assert "isthmus server stop" in caught.value.hint
    assert prefect_server.stop(home) is True


def test_its_files_are_its_owners_and_other_peoples_settings_are_not_its(home, fake, monkeypatch):
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    monkeypatch.setenv("PREFECT_PROFILE", "somebody")
    prefect_server.ensure(home)
    assert "umask 77" in prefect_server.log(home).read_text()
    said = prefect_settings.server(home)
    assert said["PREFECT_SERVER_ANALYTICS_ENABLED"] == "false"
    assert said["PREFECT_HOME"] == str(home)
    assert "PREFECT_API_URL" not in said and "PREFECT_PROFILE" not in said
    assert home.stat().st_mode & 0o077 == 0
    # The lock holds nothing.
    files = [f for f in home.rglob("*") if f.is_file() and f.name != "server.lock"]
    assert {f.name for f in files if f.stat().st_mode & 0o077} == set()


def test_a_run_uses_its_own_server_and_nothing_that_was_set_for_another(
    home, fake, monkeypatch, tmp_path
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "environ", dict(os.environ, PREFECT_PROFILE="somebody"))
    os.environ["ISTHMUS_HOME"] = str(tmp_path)
    heard = []
    with events.subscribe(heard.append):
        prefect_setup.connect()
    url = prefect_server.status(home).url
    assert os.environ["PREFECT_API_URL"] == f"{url}/api"
    assert os.environ["PREFECT_HOME"] == str(home)
    assert os.environ["PREFECT_SERVER_EPHEMERAL_ENABLED"] == "false"
    assert "PREFECT_PROFILE" not in os.environ
    assert [(e.kind, e.text) for e in heard] == [("started", ""), ("done", f"{url} started")]


def test_a_run_uses_the_server_that_it_is_told_to(home, fake, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    server = prefect_server.ensure(home)
    elsewhere = tmp_path / "elsewhere"
    told = {"ISTHMUS_HOME": str(elsewhere), "PREFECT_API_URL": server.api, "PREFECT_HOME": "/mine"}
    monkeypatch.setattr(os, "environ", {**os.environ, **told, "PREFECT_LOGGING_LEVEL": "DEBUG"})
    prefect_setup.connect()
    assert (os.environ["PREFECT_API_URL"], os.environ["PREFECT_HOME"]) == (server.api, "/mine")
    assert "PREFECT_LOGGING_LEVEL" not in os.environ
    assert list(elsewhere.rglob("*")) == [elsewhere / "server"]


def test_a_server_that_one_was_told_of_and_is_not_there_is_told(home, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "environ", {**os.environ, "PREFECT_API_URL": "http://127.0.0.1:9/api"})
    heard = []
    with events.subscribe(heard.append), pytest.raises(Unprepared) as caught:
        prefect_setup.connect()
    assert "http://127.0.0.1:9/api" in caught.value.message
    assert "unset PREFECT_API_URL" in caught.value.hint
    assert heard[-1].kind == "failed"


@pytest.mark.parametrize("api", ["nonsense", "http://", "gopher://127.0.0.1:9"])
def test_an_address_that_is_none_is_told_and_not_a_bug(api):
    with pytest.raises(Unprepared, match="PREFECT_API_URL"):
        prefect_client.check(api)


def test_this_machine_is_asked_past_any_proxy(monkeypatch, tmp_path):
    monkeypatch.setenv("NO_PROXY", "example.com")
    variables = prefect_api.environment("http://127.0.0.1:4200/api", tmp_path)
    assert variables["NO_PROXY"] == variables["no_proxy"] == "example.com,127.0.0.1,localhost"


def test_only_children_without_a_session_of_their_own_end_with_a_run(tmp_path, monkeypatch):
    kept = processes.detach(["sleep", "60"], tmp_path / "log")
    asked = []
    with subprocess.Popen(["sleep", "60"]) as child:
        with monkeypatch.context() as patched:
            patched.setattr(os, "kill", lambda pid, number: asked.append(pid))
            processes.terminate_children()
        child.kill()
    processes.terminate(kept, 1)
    assert not kept.alive
    assert child.pid in asked and kept.pid not in asked


def test_a_real_server_keeps_a_flows_history_and_says_nothing(home, tmp_path, monkeypatch):
    monkeypatch.setenv("ISTHMUS_HOME", str(tmp_path))
    prefect_server.ensure(home)
    done = subprocess.run(
        [sys.executable, "-c", SUM_UP], capture_output=True, text=True, timeout=120
    )
    assert (done.stdout, done.stderr) == ("12\n", "")
    [run] = ask(home, "/flow_runs/filter", {})
    assert (run["name"] != "", run["state_type"]) == (True, "COMPLETED")
    assert "a-tag" in run["tags"]
    said = [line["message"] for line in ask(home, "/logs/filter", {})]
    assert any("not for the terminal" in line for line in said)
    assert not [path for path in home.rglob("*.db*") if path.stat().st_mode & 0o077]
    assert prefect_server.stop(home) is True
