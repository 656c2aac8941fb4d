"""What a person sees of a run in Prefect's pages: which step is red."""

import pytest
from prefect import get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId
from world import environment

from flows.build import build
from flows.verify import verify
from isthmus import waiting
from isthmus.verification import Unproven

pytestmark = pytest.mark.usefixtures("prefect")


@pytest.fixture
def client():
    with get_client(sync_client=True) as client:
        yield client


def steps_of(client, ended):
    """Return the states of a run's steps by name, once all have ended for the server too."""
    run = FlowRunFilter(id=FlowRunFilterId(any_=[ended.state_details.flow_run_id]))

    def found():
        runs = client.read_task_runs(flow_run_filter=run)
        named = {r.name: r for r in runs}
        done = "judge" in named and all(r.state and r.state.is_final() for r in runs)
        return named if done else None

    return waiting.until(found, "the record of every step", timeout=60, interval=0.5)


def test_the_step_that_judges_a_mesh_red_is_red_with_the_first_finding(world, client):
    build(environment())
    world.kubes["beijing"].shut = 10**6
    ended = verify(environment(), return_state=True)
    error = ended.result(raise_on_failure=False)
    assert ended.is_failed() and isinstance(error, Unproven) and error.exit_code == 79
    steps = steps_of(client, ended)
    assert [name for name, run in steps.items() if run.state.is_failed()] == ["judge"]
    judged = steps["judge"]
    assert judged.state.message == error.verification.reasons[0].splitlines()[0]
    assert judged.run_count == 1, "what was judged is not judged again"
    run = FlowRunFilter(id=FlowRunFilterId(any_=[ended.state_details.flow_run_id]))
    left = {a.key: a.data for a in client.read_artifacts(flow_run_filter=run) if a.key}
    assert "### Findings" in left["outcome-pair"]


def test_the_step_that_judges_a_sound_mesh_is_green(world, client):
    ended = build(environment(), return_state=True)
    assert ended.is_completed()
    assert steps_of(client, ended)["judge"].state.is_completed()
