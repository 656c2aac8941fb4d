"""What a person sees of a run in Prefect's pages: which step is red, what its log and state say."""

import pytest
from prefect import flow, get_client
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterId,
    LogFilter,
    LogFilterFlowRunId,
)
from prefect.logging.handlers import APILogWorker
from prefect.settings import PREFECT_LOGGING_TO_API_ENABLED, temporary_settings
from world import environment

from flows.build import build
from flows.state_hooks import return_final_state
from flows.verify import verify
from isthmus import file_lock, polling
from isthmus.errors import Busy, ClusterUnreachable, Rejected
from isthmus.verification import VerificationFailed
from tasks.policies import RETRIES, step

pytestmark = pytest.mark.usefixtures("prefect")


@pytest.fixture
def client():
    with get_client(sync_client=True) as client:
        yield client


def logged(client, story, *args, **kwargs):
    """Run a story; return the state that it ends in, and its log as its page shows it."""
    with temporary_settings({PREFECT_LOGGING_TO_API_ENABLED: True}):
        ended = story(*args, return_state=True, **kwargs)
        APILogWorker.drain_all()
    run = ended.state_details.flow_run_id

    def kept():
        of_run = LogFilter(flow_run_id=LogFilterFlowRunId(any_=[run]))
        found = sorted(client.read_logs(log_filter=of_run), key=lambda log: log.timestamp)
        return found if any("Finished in state" in log.message for log in found) else None

    return ended, polling.until(kept, "the run's last line", timeout=60)


def steps_of(client, ended):
    """Return the states of a run's steps by name, once all have ended for the server too."""
    run = FlowRunFilter(id=FlowRunFilterId(any_=[ended.state_details.flow_run_id]))

    def found():
        runs = client.read_task_runs(flow_run_filter=run)
        named = {r.name: r for r in runs}
        done = "evaluate" in named and all(r.state and r.state.is_final() for r in runs)
        return named if done else None

    return polling.until(found, "the record of every step", timeout=60, interval=0.5)


def test_the_step_that_judges_a_mesh_red_is_red_with_the_first_finding(world, client):
    build(environment())
    world.kubes["beijing"].shut = 10**6
    ended = verify(environment(), return_state=True)
    error = ended.result(raise_on_failure=False)
    assert ended.is_failed() and isinstance(error, VerificationFailed) and error.exit_code == 79
    steps = steps_of(client, ended)
    assert [name for name, run in steps.items() if run.state.is_failed()] == ["evaluate"]
    judged = steps["evaluate"]
    assert judged.state.message == error.verification.reasons[0].splitlines()[0]
    assert judged.run_count == 1, "what was judged is not judged again"
    run = FlowRunFilter(id=FlowRunFilterId(any_=[ended.state_details.flow_run_id]))
    left = {a.key: a.data for a in client.read_artifacts(flow_run_filter=run) if a.key}
    assert "### Findings" in left["outcome-pair"]


def test_the_step_that_judges_a_sound_mesh_is_green(world, client):
    ended = build(environment(), return_state=True)
    assert ended.is_completed()
    assert steps_of(client, ended)["evaluate"].state.is_completed()


def test_a_run_that_is_refused_its_turn_opens_on_who_has_it_and_what_to_do(
    world, client, monkeypatch
):
    def busy(name):
        hint = f"wait for it, or look: isthmus status {name}"
        raise Busy(f"{name} is in use by build {name} (pid 7 on north)", hint=hint)

    monkeypatch.setattr(file_lock, "acquire", busy)
    ended, log = logged(client, verify, environment(), if_busy="refuse")
    said = "pair is in use by build pair (pid 7 on north)"
    assert ended.is_failed() and ended.message.startswith(said)
    assert ended.message.endswith("wait for it, or look: isthmus status pair")
    with pytest.raises(Busy):
        ended.result()
    own = [line.message for line in log if "Beginning flow run" not in line.message]
    assert own[0].startswith(said) and "isthmus status pair" in own[0]
    assert "Traceback" not in "".join(own)


def test_a_failure_that_a_person_can_mend_is_told_in_words_and_without_a_traceback(world, client):
    world.troubles["shanghai"] = [Rejected("403 Forbidden", hint="ask for rights")]
    ended, log = logged(client, build, environment())
    assert ended.message == "shanghai: join: 403 Forbidden -> ask for rights"
    told = "\n".join(line.message for line in log)
    assert "ask for rights" in told and "Traceback" not in told


def test_a_step_that_was_tried_in_vain_leaves_no_traceback_either(client):
    tries = []

    @step("install host")
    def unlucky():
        tries.append(1)
        raise ClusterUnreachable("no answer", hint="is it up?")

    @flow
    @return_final_state
    def story():
        unlucky.with_options(retry_delay_seconds=0)()

    ended, log = logged(client, story)
    assert len(tries) == 1 + RETRIES
    assert ended.message == "install host: no answer -> is it up?"
    assert "Traceback" not in "".join(line.message for line in log)


def test_a_bug_of_ours_keeps_its_traceback(client):
    @flow
    @return_final_state
    def story():
        raise KeyError("spline")

    ended, log = logged(client, story)
    assert ended.is_failed()
    assert "Traceback" in "".join(line.message for line in log)
