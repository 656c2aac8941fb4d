"""The real server with its real worker: what they keep to themselves, and what they survive.

One server for all tests of this module, in the order of the file: each leaves it running.
"""

import os
import signal
import stat
import subprocess
import sys
import urllib.error
import urllib.request

import pytest
from prefects import Runs, alive, arguments, everything_in, free_port, relaying

from isthmus import polling
from isthmus.adapters import prefect_record, prefect_server, prefect_settings
from isthmus.adapters.prefect_settings import Options
from isthmus.errors import Busy, Unprepared

CANARY = "canary-in-a-block"


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Return the folder of a server and a worker that run."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("PREFECT_")]:
            patch.delenv(name)
        root = tmp_path_factory.mktemp("isthmus")
        patch.setenv("ISTHMUS_HOME", str(root))
        patch.setenv("ISTHMUS_CACHE", str(root / "cache"))
        prefect_server.start(root / "server", Options(port=free_port(), limit=2))
        yield root / "server"
        prefect_server.stop(root / "server", now=True)


@pytest.fixture
def runs(home, tmp_path):
    return Runs(home, tmp_path)


def test_whoever_does_not_know_the_password_learns_nothing(home):
    api = prefect_record.address(home).api
    for path in ("/flow_runs/filter", "/deployments/filter", "/block_documents/filter"):
        request = urllib.request.Request(
            f"{api}{path}", b"{}", {"Content-Type": "application/json"}
        )
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=20)
        assert caught.value.code == 401


def test_its_pages_are_told_to_ask_nobody_else(home):
    url = f"{prefect_record.address(home).url}/v2/"
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(url, timeout=20) as page:
        assert b"connect-src 'self' data: blob:" in page.read()


def test_a_secret_in_a_block_is_encrypted_and_its_key_is_not_in_the_database(home, runs):
    save_secret(runs)
    whole = everything_in(home / "prefect.db")
    assert b"a-block" in whole
    assert CANARY.encode() not in whole
    assert (home / "encryption.key").read_bytes() not in whole


def save_secret(runs):
    kind = runs.ask("/block_types/slug/secret")["id"]
    of_kind = {"block_schemas": {"block_type_id": {"any_": [kind]}}}
    schema = runs.ask("/block_schemas/filter", of_kind)[0]["id"]
    block = {"name": "a-block", "data": {"value": CANARY}}
    runs.ask("/block_documents/", {**block, "block_type_id": kind, "block_schema_id": schema})


def test_no_secret_is_in_an_argument_or_a_file_that_others_can_read(home):
    auth, key = (home / "auth").read_bytes(), (home / "encryption.key").read_bytes()
    assert len(auth) > 20 and len(key) > 20
    given = arguments()
    assert f"--port\0{prefect_record.address(home).port}".encode() in given
    assert auth not in given and key not in given
    assert (home / "supervisord.conf").read_bytes().count(auth) == 0
    open_to_others = {
        path.name
        for path in home.rglob("*")
        if stat.S_ISREG(path.stat().st_mode) and path.stat().st_mode & 0o077
    }
    assert open_to_others <= {"server.lock"}  # which holds nothing


def test_a_run_knows_isthmus_folders_and_none_of_the_servers_own_secrets(home, runs):
    run, told = runs.begin(steps=0)
    variables = told["environment"]
    assert variables["ISTHMUS_HOME"] == str(home.parent)
    assert variables["ISTHMUS_CACHE"] == str(home.parent / "cache")
    assert os.path.dirname(sys.executable) in variables["PATH"].split(":")
    assert "/usr/sbin" in variables["PATH"].split(":")
    assert not [name for name in variables if "ENCRYPTION" in name or "DATABASE" in name]
    assert runs.end(run)["type"] == "COMPLETED"


def test_a_server_that_is_killed_comes_back_and_the_run_goes_on(home, runs):
    run, _ = runs.begin(steps=12)
    polling.until(lambda: ended_steps(runs, run) or None, "a step in the record", timeout=60)
    before = prefect_server.status(home)
    os.kill(before.pid, signal.SIGKILL)
    assert runs.end(run)["type"] == "COMPLETED"
    after = prefect_server.status(home)
    assert after.url == before.url and after.pid != before.pid
    # What Prefect tells of steps on the side may get lost with the server; the last was after it.
    polling.until(lambda: "step-11" in ended_steps(runs, run) or None, "the last step", timeout=60)


def ended_steps(runs, run):
    steps = runs.ask("/task_runs/filter", {"flow_runs": {"id": {"any_": [run]}}})
    return [step["name"] for step in steps if step["state_type"] == "COMPLETED"]


def test_a_worker_that_is_killed_comes_back_and_its_run_goes_on(home, runs):
    run, _ = runs.begin(steps=4)
    before = prefect_server.worker(home)
    os.kill(before, signal.SIGKILL)
    next_run, _ = runs.begin(steps=0)
    assert prefect_server.worker(home) not in (None, before)
    assert runs.end(next_run)["type"] == "COMPLETED"
    assert runs.end(run)["type"] == "COMPLETED"


def test_what_runs_otherwise_than_asked_is_not_silently_left(home):
    with pytest.raises(Unprepared, match="worker with --limit 2"):
        prefect_server.start(home, prefect_settings.options(home).changed(limit=3))
    with pytest.raises(Unprepared, match=r"runs at 127\.0\.0\.1:") as caught:
        prefect_server.start(home, prefect_settings.options(home).changed(host="0.0.0.0"))
    assert "isthmus server stop" in caught.value.hint
    assert prefect_settings.options(home).limit == 2


def test_a_server_does_not_end_under_a_run_unless_told_to_and_the_run_is_then_over(home, runs):
    run, told = runs.begin(steps=1000)
    name = runs.ask(f"/flow_runs/{run}")["name"]
    with pytest.raises(Busy) as caught:
        prefect_server.stop(home)
    assert name in caught.value.message
    assert "isthmus server stop --now" in caught.value.hint
    assert runs.state(run)["type"] == "RUNNING"

    assert prefect_server.stop(home, now=True) is True
    assert not alive(told["child"])
    prefect_server.start(home, prefect_settings.options(home))
    assert runs.state(run)["type"] == "CRASHED"


def test_what_was_recorded_and_encrypted_is_there_after_a_restart(runs):
    [block] = runs.ask("/block_documents/filter", {"include_secrets": True})
    assert block["data"]["value"] == CANARY
    assert runs.ask("/flow_runs/count", {}) > 4


def test_after_a_power_cut_it_starts_again_at_the_same_address(home, runs):
    before, worker = prefect_server.status(home), prefect_server.worker(home)
    record = prefect_record.read(home)
    os.kill(record.supervisor.pid, signal.SIGKILL)
    gone = [before.pid, worker]
    polling.until(lambda: None if any(map(alive, gone)) else True, "the end of all", timeout=30)
    assert prefect_server.status(home) is None and (home / "supervisor.pid").exists()
    after = prefect_server.start(home, prefect_settings.options(home))
    assert (after.started, after.url) == (True, before.url)
    assert runs.ask("/flow_runs/count", {}) > 4


def test_prefects_own_command_works_with_the_file_that_is_written_for_it(home):
    script = f". {home / 'prefect.env'} && {sys.executable} -m prefect work-pool ls"
    clean = {k: v for k, v in os.environ.items() if not k.startswith("PREFECT_")}
    done = subprocess.run(
        ["sh", "-c", script], env=clean, capture_output=True, text=True, timeout=120
    )
    assert prefect_settings.WORK_POOL in done.stdout


TAKES_ITS_TURN = """
import logging, pathlib, sys, time
from prefect import get_client
from prefect.states import Running
from flows import environment_lock
from flows.build import build
from flows.heartbeat import send_heartbeats
from isthmus import polling
from isthmus.errors import IsthmusError

environment_lock.get_run_logger = lambda: logging.getLogger("test")
name, mark = sys.argv[1], pathlib.Path(sys.argv[2])
run = get_client(sync_client=True).create_flow_run(build, parameters={}, state=Running())
mark.with_suffix(".run").write_text(str(run.id))
try:
    with environment_lock.lock_environment(name, run, "wait") as place, send_heartbeats(run, place):
        while not mark.with_suffix(".enough").exists():
            polling.run_change_check()
            with mark.open("a") as file:
                file.write(f"{time.time()}\\n")
            time.sleep(0.2)
except IsthmusError as error:
    print(type(error).__name__, error.exit_code, error)
"""


class Machine:
    """A home of its own with one run that writes while it has its turn of an environment."""

    def __init__(self, folder, server_home, environment, api):
        self.mark = folder / "written"
        folder.mkdir(parents=True)
        self.process = subprocess.Popen(
            [sys.executable, "-c", TAKES_ITS_TURN, environment, str(self.mark)],
            env={
                **os.environ,
                **prefect_settings.client(server_home, api),
                "ISTHMUS_HOME": str(folder),
            },
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def written(self):
        """Return when it wrote, nothing if it never did."""
        return [float(row) for row in self.mark.read_text().split()] if self.mark.exists() else []

    def await_turn(self):
        polling.until(lambda: self.written() or None, "its turn", timeout=150)

    def run(self):
        return self.mark.with_suffix(".run").read_text()

    def ended(self):
        return self.process.communicate(timeout=90)[0]

    def stop(self):
        self.mark.with_suffix(".enough").touch()
        return self.ended()


@pytest.fixture
def machine(home, tmp_path):
    """Return a function that begins a run on a machine of its own; in the end none is left."""
    begun = []

    def begin(name, environment, api=None):
        at = api or prefect_record.address(home).api
        begun.append(Machine(tmp_path / environment / name, home, environment, at))
        return begun[-1]

    yield begin
    for machine in begun:
        machine.process.kill()
        machine.process.wait()


def test_a_run_that_lost_its_turn_changes_nothing_beside_the_one_that_has_it(home, runs, machine):
    """Two machines, one server: suspended, cut off, its record deleted, until its lease is out."""
    here = prefect_record.address(home)
    with relaying((here.host, here.port)) as relay:
        first = {
            "suspended": machine("a", "suspended"),
            "cut-off": machine("a", "cut-off", f"http://127.0.0.1:{relay.port}/api"),
            "deleted": machine("a", "deleted"),
        }
        for one in first.values():
            one.await_turn()
        first["suspended"].process.send_signal(signal.SIGSTOP)
        relay.cut()
        runs.delete(first["deleted"].run())
        second = {name: machine("b", name) for name in first}
        for one in second.values():
            one.await_turn()
        relay.mend()
        first["suspended"].process.send_signal(signal.SIGCONT)
        said = {name: one.ended() for name, one in first.items()}
    begun = {name: one.written()[0] for name, one in second.items()}
    late = {name: [at for at in one.written() if at > begun[name]] for name, one in first.items()}
    assert len(late.pop("suspended")) <= 1, "one may have been on its way, and no other comes"
    assert late == {"cut-off": [], "deleted": []}
    assert "LeaseLost 75 this run lost its lease" in said["suspended"]
    assert "LeaseLost 75 this run lost its lease" in said["cut-off"]
    assert first["deleted"].process.returncode == -signal.SIGTERM, said["deleted"]
    assert [one.stop() for one in second.values()] == ["", "", ""]


def test_a_run_that_the_database_knows_no_more_ends_before_another_one_writes(home, machine):
    """As our own hint says: the database was moved away, and the server made a new one."""
    first = machine("a", "moved")
    first.await_turn()
    os.kill(prefect_record.read(home).supervisor.pid, signal.SIGKILL)
    polling.until(lambda: prefect_server.status(home) is None or None, "its end", timeout=60)
    for file in home.glob("prefect.db*"):
        file.rename(file.with_name(f"moved-{file.name}"))
    prefect_server.start(home, prefect_settings.options(home))
    second = machine("b", "moved")
    second.await_turn()
    said = first.ended()
    # Where the server is away for longer than a lease lasts, that ends the run before it may ask.
    assert first.process.returncode == -signal.SIGTERM or said.startswith("LeaseLost 75 ")
    assert first.written()[-1] < second.written()[0]
    assert second.stop() == ""
