"""A real Prefect server of a test's own: asked, given runs, and looked at from outside."""

import json
import socket
import sqlite3
import threading
import urllib.error
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx

from isthmus import polling
from isthmus.adapters import prefect_api, prefect_record, prefect_settings

# As the deployments of the project: begun without a detour, and silent, as the pipe to a worker
# that dies would break under a run that speaks.
JOB = {
    "command": "python -m prefect.engine",
    "env": {"PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL"},
}
SUM_UP = """
import logging
from isthmus.cli import prefect_setup
with prefect_setup.server_context("a-tag"):
    import prefect
    @prefect.task
    def double(n):
        prefect.get_run_logger().error("not for the terminal")
        return 2 * n
    @prefect.flow
    def sum_up():
        logging.getLogger("urllib3").warning("not for the terminal either")
        return sum(double.map([1, 2, 3]).result())
    print(sum_up())
"""
FLOW = """
import json, os, pathlib, subprocess, time
from prefect import flow, task

@task(task_run_name="step-{number}")
def step(number):
    time.sleep(0.5)

@flow
def walk(steps: int, mark: str):
    child = subprocess.Popen(["sleep", "600"], stdout=subprocess.DEVNULL)
    told = {"child": child.pid, "environment": dict(os.environ)}
    pathlib.Path(mark + ".part").write_text(json.dumps(told))
    pathlib.Path(mark + ".part").rename(mark)
    for number in range(steps):
        step(number)
    child.kill()
"""


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def ask(home, path, body=None):
    """Return the server's answer; with SQLite it says 503 while it is busy, and means later."""
    return polling.until(lambda: _answer(home, path, body), f"answer to {path}", timeout=90)


def _answer(home, path, body):
    api = prefect_record.address(home).api
    try:
        return prefect_api.own_server_api(api, prefect_settings.auth(home)).request(
            path, body, timeout=20
        )
    except urllib.error.HTTPError as error:
        if error.code == 503:
            return None
        raise AssertionError(f"{path}: {error.code} {error.read()}") from None
    except OSError:
        return None


class Runs:
    """Runs of a flow that takes steps of half a second, given to the worker of a home."""

    def __init__(self, home, folder):
        self.home, self.folder = home, folder
        (folder / "walking.py").write_text(FLOW)

    def ask(self, path, body=None):
        return ask(self.home, path, body)

    def begin(self, steps):
        """Have the worker begin a run; return its identity and what it told of itself."""
        flow = self.ask("/flows/", {"name": "walk"})["id"]
        place = {"path": str(self.folder), "entrypoint": "walking.py:walk"}
        work = {"work_pool_name": prefect_settings.WORK_POOL, "job_variables": JOB, **place}
        deployment = self.ask("/deployments/", {"name": "walk", "flow_id": flow, **work})["id"]
        mark = self.folder / f"mark-{len(list(self.folder.iterdir()))}"
        asked = {"parameters": {"steps": steps, "mark": str(mark)}}
        run = self.ask(f"/deployments/{deployment}/create_flow_run", asked)["id"]
        polling.until(lambda: mark.exists() or None, "the run's first word", timeout=90)
        return run, json.loads(mark.read_text())

    def state(self, run):
        return self.ask(f"/flow_runs/{run}")["state"]

    def delete(self, run):
        """Delete its record, as a person does in the pages."""
        api, pair = prefect_record.address(self.home).api, prefect_settings.auth(self.home)
        with httpx.Client(auth=tuple(pair.split(":", 1)), trust_env=False, timeout=60) as client:
            client.delete(f"{api}/flow_runs/{run}").raise_for_status()

    def end(self, run):
        """Return the state in which a run ended."""

        def ended():
            state = self.state(run)
            return None if state["type"] in ("PENDING", "RUNNING", "SCHEDULED") else state

        return polling.until(ended, f"the end of run {run}", timeout=120)


def everything_in(database):
    """Return all bytes of a SQLite database, its log included."""
    with sqlite3.connect(database) as connection:
        connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
    return b"".join(part.read_bytes() for part in Path(database).parent.glob("prefect.db*"))


def arguments():
    """Return the command lines of all processes on this machine."""
    found = []
    for line in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found.append(line.read_bytes())
        except OSError:
            continue
    return b"\n".join(found)


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


class Relay:
    """Passes connections on to a server until it is cut: then it refuses, and ends those it had."""

    def __init__(self, server):
        self._server, self._whole, self._ends = server, True, []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def cut(self):
        self._whole = False
        for end in self._ends:
            _end(end)

    def mend(self):
        self._whole = True

    def close(self):
        self.cut()
        _end(self._listener)

    def _serve(self):
        with suppress(OSError):
            while True:
                here, _ = self._listener.accept()
                if not self._whole:
                    here.close()
                    continue
                there = socket.create_connection(self._server)
                self._ends += [here, there]
                for source, target in ((here, there), (there, here)):
                    threading.Thread(target=_pass_on, args=(source, target), daemon=True).start()


def _pass_on(source, target):
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    _end(target)


def _end(end):
    with suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
    end.close()


@contextmanager
def relaying(server):
    """Give a relay to a server while the block runs."""
    relay = Relay(server)
    try:
        yield relay
    finally:
        relay.close()
