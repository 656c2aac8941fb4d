"""Ten pairs of regions, queued at once for two workers: each is built once, none waits for ever."""

import datetime
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from postgresql import postgresql
from prefects import ask

from isthmus import polling
from isthmus.adapters import prefect_database, prefect_record, prefect_settings

__all__ = ["postgresql"]
TESTS = Path(__file__).parents[1]
PAIRS = 10
LIMIT = "2"


def isthmus(home, *args):
    command = [sys.executable, "-m", "isthmus.cli.main", *map(str, args)]
    done = subprocess.run(command, env=around(home), capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr


def around(home):
    return {**os.environ, **own(home)}


def own(home):
    return {"ISTHMUS_HOME": str(home), "PYTHONPATH": str(TESTS)}


@pytest.fixture
def home(tmp_path, postgresql, monkeypatch):
    """A home with PostgreSQL, as for builds side by side, and the flow region-pair of `idle`."""
    monkeypatch.setenv(prefect_database.VARIABLE, postgresql)
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    work = {"name": "isthmus", "job_variables": {"env": {"PYTHONPATH": str(TESTS)}}}
    deployment = {"name": "region-pair", "entrypoint": "idle.region_pair", "work_pool": work}
    content = {"name": "pairs", "pull": [], "deployments": [deployment]}
    (tmp_path / "prefect.yaml").write_text(json.dumps(content))
    shutil.copy(TESTS.parent / "deployments/automations.yaml", tmp_path)
    try:
        isthmus(home, "server", "start", "--limit", LIMIT)
        isthmus(home, "deploy", tmp_path / "prefect.yaml")
        yield home
    finally:
        isthmus(home, "server", "stop", "--now")


@pytest.fixture
def second(home):
    """Another worker of the same pool."""
    server = home / "server"
    # What is made for a worker names the home of this process, which here is another one.
    variables = {**prefect_settings.worker(server, prefect_record.address(server).api), **own(home)}
    pool = ["--pool", prefect_settings.WORK_POOL, "--type", "process", "--limit", LIMIT]
    command = [sys.executable, "-m", "prefect", "worker", "start", "--name", "second", *pool]
    with (home / "second.log").open("w") as log:
        process = subprocess.Popen(command, env={**os.environ, **variables}, stdout=log, stderr=log)
    yield
    process.kill()  # asked to end, a worker takes its time; it has nothing left to do
    process.wait()


def test_ten_pairs_on_two_workers_are_each_built_once(home, second, capsys):
    server = home / "server"
    deployment = ask(server, "/deployments/name/region-pair/region-pair")["id"]
    for number in range(PAIRS):
        pair = {"host_region": f"east-{number}", "remote_region": f"west-{number}"}
        ask(server, f"/deployments/{deployment}/create_flow_run", {"parameters": pair})

    def ended():
        runs = ask(server, "/flow_runs/filter", {})
        return runs if all(run["end_time"] for run in runs) else None

    runs = polling.until(ended, "the end of all runs", timeout=600, interval=1)
    assert sorted(run["name"] for run in runs) == [
        f"region-pair east-{n}-west-{n}" for n in range(PAIRS)
    ]
    assert {(run["state"]["type"], run["run_count"]) for run in runs} == {("COMPLETED", 1)}
    assert len({worker_of(server, run) for run in runs}) == 2
    with capsys.disabled():
        print(f"\n{PAIRS} region pairs on two workers: {pace(runs):.1f} runs a minute")


def worker_of(server, run):
    """Return the name of the worker that took the run, as its log says."""
    asked = {"logs": {"flow_run_id": {"any_": [run["id"]]}}}

    def told():
        lines = [line["message"] for line in ask(server, "/logs/filter", asked)]
        return next((line.split("'")[1] for line in lines if line.startswith("Worker '")), None)

    return polling.until(told, "the worker's word", timeout=60, interval=0.5)


def pace(runs):
    """Return runs a minute, from the first one's order to the last one's end."""
    begun = min(datetime.datetime.fromisoformat(run["created"]) for run in runs)
    ended = max(datetime.datetime.fromisoformat(run["end_time"]) for run in runs)
    return 60 * len(runs) / (ended - begun).total_seconds()
