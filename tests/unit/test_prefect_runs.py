"""Flow runs that are ended with their server: they and what they run, nobody beside them."""

import os
import subprocess
import sys

import pytest

from isthmus import polling
from isthmus.adapters import prefect_runs
from isthmus.adapters.prefect_runs import FlowRunProcess

# A worker may start its runs in its own group, as whoever started the worker may have done.
WORKER = """
import os, subprocess, sys
run = "import subprocess; subprocess.Popen(['sleep', '60']).wait()"
variables = {**os.environ, "PREFECT__FLOW_RUN_ID": "a-run"}
engine = subprocess.Popen([sys.executable, "-c", run], env=variables)
print(engine.pid, flush=True)
print(engine.wait(), flush=True)
sys.stdin.read()
"""


class Server:
    def request(self, path, body):
        assert (path, body) == ("/flow_runs/filter", {"flow_runs": {"id": {"any_": ["a-run"]}}})
        return []


@pytest.fixture
def worker():
    command = [sys.executable, "-c", WORKER]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, start_new_session=True, **pipes) as worker:
        yield worker
        worker.stdin.close()


def test_a_run_is_ended_without_the_worker_whose_group_it_is_in(worker):
    run = FlowRunProcess("a-run", int(worker.stdout.readline()))
    # Its variables are to be read a moment after the call that begins it has returned.
    polling.until(lambda: run.alive or None, "the run's process", timeout=10)
    assert os.getpgid(run.pid) == os.getpgid(worker.pid)
    prefect_runs.end_runs(Server(), [run], "a test")
    assert not run.alive
    assert worker.stdout.readline() == "-15\n"
    assert worker.poll() is None
