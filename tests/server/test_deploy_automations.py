"""Automations on a real Prefect server: who is told of a failure, and who is taken for dead."""

import http.server
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import urllib.request
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from uuid import uuid4

import pytest
from deployed import deployed, done, one, put

from isthmus import polling

ROOT = Path(__file__).parents[2]
OURS = (ROOT / "deployments/automations.yaml").read_text()
QUICK = OURS.replace("within: 75", "within: 10")
"""Ten seconds are the shortest that Prefect takes."""
CANARY = "canary-webhook-7f3a"
PAYLOAD = {
    "environment": "silk-road",
    "step": "install remote",
    "cluster": "shanghai",
    "reason": 'webhook "x" said <no>;\n{{ flow_run.parameters }} it\'s 50 %',
    "link": "http://127.0.0.1:4200/runs/flow-run/x",
}


@pytest.fixture(scope="module")
def api(tmp_path_factory, pytestconfig):
    """Run a Prefect server of this module's own, with its automations; return its API's URL."""
    home = tmp_path_factory.mktemp("automations")
    migrated = pytestconfig.cache.mkdir(f"prefect-{version('prefect')}") / "migrated.db"
    if migrated.exists():
        shutil.copy(migrated, home / "prefect.db")
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    given = {k: v for k, v in os.environ.items() if not k.startswith("PREFECT_")}
    own = {
        "PREFECT_HOME": str(home),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_UI_URL": url,
        "PREFECT_API_URL": f"{url}/api",
        "DO_NOT_TRACK": "1",
    }
    words = ["server", "start", "--host", "127.0.0.1", "--port", str(port)]
    with (home / "log").open("w") as log:
        command = [sys.executable, "-m", "prefect", "--no-prompt", *words]
        process = subprocess.Popen(command, env={**given, **own}, stdout=log, stderr=log)
    try:
        polling.until(lambda: healthy(f"{url}/api/health"), "the server's answer", timeout=120)
        yield f"{url}/api"
    finally:
        process.terminate()
        process.wait()


@pytest.fixture(scope="module")
def client(api):
    from prefect import get_client, settings

    chosen = {
        settings.PREFECT_API_URL: api,
        settings.PREFECT_SERVER_ALLOW_EPHEMERAL_MODE: False,
        settings.PREFECT_CLIENT_MAX_RETRIES: 50,
    }
    with settings.temporary_settings(chosen), get_client(sync_client=True) as client:
        yield client


@pytest.fixture(scope="module")
def hook(tmp_path_factory):
    """Listen for calls; yield what was called, and a file that names the address."""
    calls = []

    class Listener(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            calls.append((self.path, self.headers["Content-Type"], json.loads(body)))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Listener)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    file = tmp_path_factory.mktemp("hook") / "hook"
    file.touch(mode=0o600)
    file.write_text(f"http://127.0.0.1:{server.server_port}/{CANARY}\n")
    yield calls, str(file)
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Write the automations beside a file with one deployment; return that one's path."""
    folder = tmp_path_factory.mktemp("files")
    return lambda text=QUICK: put(folder, one("hooked"), text)


@pytest.fixture(scope="module")
def calls(client, hook, files):
    """Deploy all, wait until the server heeds it, and return the list of what is called."""
    calls, file = hook
    assert "absent" not in done(deployed(files(), webhook_file=file)).values()

    def heeded():
        # The server takes in new automations a moment after it was given them.
        emit(client, "isthmus.run.failed", uuid4(), payload=PAYLOAD)
        return calls or None

    polling.until(heeded, "the first call", timeout=120, interval=2)
    return calls


@pytest.fixture
def reached(calls):
    """Return a function that waits for the call about a run, and returns it."""

    def wait(run):
        def found():
            return next((call for call in calls if str(run) in call[2]["link"]), None)

        return polling.until(found, "the call", timeout=120)

    return wait


def healthy(url):
    try:
        urllib.request.urlopen(url, timeout=5).close()
    except OSError:
        return None
    return True


def emit(client, name, run, tags=("isthmus",), payload=None):
    related = [
        {"prefect.resource.id": f"prefect.tag.{tag}", "prefect.resource.role": "tag"}
        for tag in tags
    ]
    event = {
        "id": str(uuid4()),
        "occurred": datetime.now(UTC).isoformat(),
        "event": name,
        "resource": {"prefect.resource.id": f"prefect.flow-run.{run}"},
        "related": related,
        "payload": payload or {},
    }
    client._client.post("/events", json=[event]).raise_for_status()


def running(client, name="build silk-road", tags=("isthmus",)):
    """Return the identity of a run of ours that has begun, as far as the server knows."""
    from prefect import flow
    from prefect.states import Running

    @flow(name="build")
    def build():
        pass

    run = client.create_flow_run(build, name=name, tags=tags)
    client.set_flow_run_state(run.id, Running(), force=True)
    return run.id


def state(client, run):
    return client.read_flow_run(run).state


def test_a_failure_reaches_the_webhook_as_it_was_told(client, reached):
    run = uuid4()
    told = {**PAYLOAD, "link": f"http://127.0.0.1:4200/v2/runs/flow-run/{run}"}
    emit(client, "isthmus.run.failed", run, payload=told)
    assert reached(run) == (f"/{CANARY}", "application/json", told)


def test_a_run_that_died_is_told_with_environment_reason_and_link(client, reached, api):
    from prefect.states import Crashed

    run = running(client)
    client.set_flow_run_state(run, Crashed(message="exit code -9"), force=True)
    _, _, body = reached(run)
    assert body == {
        "environment": "silk-road",
        "step": "build",
        "cluster": "",
        "reason": "Crashed: exit code -9",
        "link": f"{api.removesuffix('/api')}/runs/flow-run/{run}",
    }


def test_only_a_run_of_ours_that_fell_silent_is_marked_crashed(client, calls):
    from prefect.states import Completed, Pending, Scheduled

    silent, ended, moved = (running(client) for _ in range(3))
    theirs = running(client, tags=["x"])
    # Its pod was taken away: the last word of the first comes after the second is asked for.
    client.set_flow_run_state(moved, Scheduled(name="AwaitingRetry"), force=True)
    emit(client, "prefect.flow-run.heartbeat", moved)
    # On SQLite the server loses an event that meets another writer: one after the other.
    for name in ("heartbeat", "Pending", "Submitting", "InfrastructurePending"):
        if name != "heartbeat":
            client.set_flow_run_state(moved, Pending(name=name), force=True)
        event = f"prefect.flow-run.{name}"
        polling.until(lambda event=event: recorded(client, moved, event), event, timeout=60)
    emit(client, "prefect.flow-run.heartbeat", theirs, ["x"])
    emit(client, "prefect.flow-run.heartbeat", ended)
    client.set_flow_run_state(ended, Completed(), force=True)
    # Its last word may arrive after its end.
    emit(client, "prefect.flow-run.heartbeat", ended)
    # The last to speak: when it is taken for dead, the others' time is over too.
    emit(client, "prefect.flow-run.heartbeat", silent)
    found = polling.until(
        lambda: state(client, silent) if state(client, silent).is_crashed() else None,
        "the silent run to be marked",
        timeout=120,
    )
    assert "no sign of life" in found.message
    assert state(client, ended).is_completed()
    assert state(client, theirs).is_running()
    assert state(client, moved).is_pending()


def recorded(client, run, event):
    asked = {"filter": {"event": {"name": [event]}}}
    events = client.request("POST", "/events/filter", json=asked).json()["events"]
    mine = f"prefect.flow-run.{run}"
    return next((e for e in events if e["resource"]["prefect.resource.id"] == mine), None)


def test_automations_are_there_once_however_often_they_are_deployed(client, hook, files):
    _, file = hook
    first = deployed(files(), webhook_file=file)
    again = deployed(files())
    assert done(again, "automation") == dict.fromkeys(done(first, "automation"), "unchanged")
    assert done(again, "webhook") == {"isthmus-failures": "unchanged"}
    names = [a.name for a in client.read_automations()]
    assert len(names) == len(set(names)) == 3
    longer = deployed(files(OURS))
    assert longer["automation", names[0]].done in ("changed", "unchanged")
    assert [c.text for c in longer.values() if c.done == "changed"] == ["trigger"]


def test_an_automation_that_somebody_switched_off_stays_off(client, files):
    deployed(files())
    [found] = [a for a in client.read_automations() if "lives no more" in a.name]
    client.pause_automation(found.id)
    deployed(files(OURS))
    deployed(files())
    assert client.find_automation(found.id).enabled is False
    client.resume_automation(found.id)


def test_the_webhook_s_address_is_printed_nowhere_and_encrypted_on_the_server(
    client, hook, files, api
):
    _, file = hook
    changes = deployed(files(), webhook_file=file)
    assert CANARY not in repr(changes)
    shown = client._client.post("/block_documents/filter", json={}).text
    assert "isthmus-failures" in shown
    assert CANARY not in shown
