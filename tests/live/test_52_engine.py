"""Runs that are killed, cancelled, retried, or lose their server or worker, on real clusters."""

import json
import os
import shutil
import signal
from pathlib import Path

import pytest
from live.engine import Engine
from live.files import write
from live.machine import Machine

from isthmus import file_lock, polling, state

NAME = "ebro-duero"
CLUSTERS = {
    "host": {"name": "ebro", "region": "es-east"},
    "remotes": [{"name": "duero", "region": "es-west"}],
}
DEPLOYMENT = {"work_pool": {"name": "isthmus"}, "parameters": {"environment": "pair.yaml"}}
FLOWS = ("build", "rebuild", "teardown")


@pytest.fixture(scope="module")
def engine(isthmus, tmp_path_factory):
    """Server and worker in a home of their own, with deployments for one pair of regions."""
    home = state.cache() / f"test-home-engine-{os.getpid()}"
    home.mkdir(mode=0o700)
    machine, operator = Machine(), type(isthmus)(home)
    folder = tmp_path_factory.mktemp("engine")
    write(folder / "pair.yaml", name=NAME, **CLUSTERS)
    deployments = [
        {**DEPLOYMENT, "name": name, "entrypoint": f"flows.{name}.{name}"} for name in FLOWS
    ]
    content = {"name": "engine", "pull": [], "deployments": deployments}
    (folder / "prefect.yaml").write_text(json.dumps(content))
    shutil.copy(Path(__file__).parents[2] / "deployments/automations.yaml", folder)
    operator.run("server", "start")
    operator.run("deploy", folder / "prefect.yaml")
    yield Engine(home, operator)
    if (home / f"environments/{NAME}/environment.yaml").exists():
        operator.run("down", NAME)
    operator.run("server", "stop", "--now")
    assert machine.left_of(home / "environments") == []
    shutil.rmtree(home)


def test_a_run_that_was_killed_is_crashed_and_retry_goes_on_where_it_was(engine):
    run = engine.begin("build")
    run.until_done("install host ebro", "join duero")
    done = {name for name, state in run.steps().items() if state == "Completed"}
    run.kill()
    assert run.named("Crashed")["type"] == "CRASHED"
    run.retry()
    assert run.end()["type"] == "COMPLETED", run.state["message"]
    steps = run.steps()
    assert steps["install host ebro"] == steps["join duero"] == "Cached"
    assert steps["verify from ebro"] == steps["verify from duero"] == "Completed"
    assert "install remote duero" not in done
    assert steps["install remote duero"] == "Completed"


def test_cancel_ends_the_run_and_its_programs_and_up_goes_on(engine):
    run = engine.begin("rebuild")
    run.until_done("install host ebro")
    processes = run.processes()
    assert processes
    run.set("CANCELLING", "Cancelling")
    assert run.end()["type"] == "CANCELLED"
    gone = polling.until(lambda: run.processes() == [] or None, "its processes' end", timeout=30)
    assert gone
    assert engine.isthmus.document("up", NAME)["verdict"] == "pass"


def test_a_run_says_that_the_environment_is_in_use_and_comes_after(engine, monkeypatch):
    monkeypatch.setenv("ISTHMUS_HOME", str(engine.home))
    with file_lock.acquire(NAME) as held:
        held.update_record(who="isthmus up (pid 1 on elsewhere)")
        waits, skips = engine.begin("build"), engine.begin("build", if_busy="skip")
        assert "in use by isthmus up (pid 1" in waits.named("Waiting")["message"]
        assert "in use by isthmus up (pid 1" in skips.named("Skipped")["message"]
    assert waits.end()["type"] == "COMPLETED"


def test_the_server_may_restart_and_the_worker_die_in_the_middle_of_a_run(engine):
    run = engine.begin("rebuild")
    run.until_done("install host ebro")
    before = engine.isthmus.document("server", "status")
    os.kill(before["pid"], signal.SIGKILL)
    os.kill(before["worker"]["pid"], signal.SIGKILL)
    assert run.end()["type"] == "COMPLETED", run.state["message"]
    after = polling.until(lambda: both(engine), "server and worker again", timeout=60)
    assert after["pid"] != before["pid"] and after["worker"]["pid"] != before["worker"]["pid"]
    assert "Cached" not in run.steps().values()
    assert engine.ask(f"/flow_runs/{run.identity}")["run_count"] == 1


def both(engine):
    status = engine.isthmus.document("server", "status")
    return status if status["worker"]["running"] else None


def test_a_run_that_lost_its_worker_hears_that_it_was_cancelled(engine):
    run = engine.begin("rebuild")
    run.until_done("install host ebro")
    os.kill(engine.isthmus.document("server", "status")["worker"]["pid"], signal.SIGKILL)
    run.set("CANCELLING", "Cancelling")
    assert run.end()["type"] == "CANCELLED"
    polling.until(lambda: run.processes() == [] or None, "its processes' end", timeout=30)


def test_two_runs_of_one_environment_come_one_after_the_other(engine):
    first, second = engine.begin("teardown"), engine.begin("teardown")
    assert first.end()["type"] == second.end()["type"] == "COMPLETED"
    ran = sorted(engine.ask(f"/flow_runs/{run.identity}")["end_time"] for run in (first, second))
    assert ran[0] < ran[1]
    limit = engine.ask(f"/v2/concurrency_limits/isthmus-{NAME}")
    assert (limit["limit"], limit["active_slots"]) == (1, 0)
