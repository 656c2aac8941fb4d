"""Runs that come while another one is at work, that were retried, cancelled, or died."""

import contextvars
import json
import signal
import threading
import time
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from uuid import UUID, uuid4

import pytest
from httpx import ConnectError
from prefect import get_client
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId
from prefect.flow_engine import run_flow
from prefect.states import Cancelling, Running, Scheduled
from world import environment

from flows import concurrency_limit, environment_lock, heartbeat
from flows.build import build
from flows.teardown import teardown
from flows.verify import verify
from isthmus import events, file_lock, polling, state
from isthmus.cli.prefect_client import cancel
from isthmus.errors import Busy, Rejected

pytestmark = pytest.mark.usefixtures("prefect")


@pytest.fixture
def client():
    with get_client(sync_client=True) as client:
        yield client


@pytest.fixture
def started():
    """Names of the steps that really ran, in order."""
    names = []
    with events.subscribe(lambda e: e.kind == "started" and names.append((e.name, e.cluster))):
        yield names


def beside(flow):
    """Run a flow in a thread of its own, against the same server."""
    context = contextvars.copy_context()
    run = partial(flow, environment(), return_state=True)
    thread = threading.Thread(target=context.run, args=[run], daemon=True)
    thread.start()
    return thread


@contextmanager
def at_work(world, monkeypatch):
    """Have a build in the middle of its work while the block runs."""
    inside, go_on = threading.Event(), threading.Event()
    ensure = world.ensure

    def stay(*what):
        inside.set()
        assert go_on.wait(60)
        return ensure(*what)

    monkeypatch.setattr(world, "ensure", stay)
    first = beside(build)
    assert inside.wait(60)
    monkeypatch.setattr(world, "ensure", ensure)
    try:
        yield go_on
    finally:
        go_on.set()
        first.join(60)


def test_a_run_that_shall_not_wait_is_told_who_is_at_work(world, monkeypatch):
    with at_work(world, monkeypatch):
        with pytest.raises(Busy, match=r"pair is in use by build pair \(pid \d+ on "):
            teardown(environment(), if_busy="refuse")
    assert world.deleted == 0


def test_a_run_that_was_refused_leaves_why_and_the_first_thing_to_do(world, monkeypatch):
    with at_work(world, monkeypatch):
        ended = teardown(environment(), if_busy="refuse", return_state=True)
    with get_client(sync_client=True) as client:
        run = FlowRunFilter(id=FlowRunFilterId(any_=[ended.state_details.flow_run_id]))
        left = {a.key: a.data for a in client.read_artifacts(flow_run_filter=run) if a.key}
    assert "pair is in use by build pair" in left["outcome-pair"]
    assert "### What to do" in left["outcome-pair"]
    assert "wait for it, or look: isthmus status pair" in left["outcome-pair"]


def test_a_surplus_run_that_shall_be_skipped_ends_as_skipped_and_touches_nothing(
    world, monkeypatch
):
    with at_work(world, monkeypatch):
        ended = teardown(environment(), if_busy="skip", return_state=True)
    assert (ended.type.value, ended.name) == ("CANCELLED", "Skipped")
    assert "in use by build pair" in ended.message
    assert world.deleted == 0


def test_a_surplus_run_waits_says_for_whom_and_comes_after(world, monkeypatch, client):
    with at_work(world, monkeypatch) as go_on:
        second = beside(teardown)
        waited = polling.until(lambda: waits(client), "a run that waits", timeout=60)
        assert "in use by build pair" in waited.state.message
        assert world.deleted == 0
        go_on.set()
        second.join(60)
    assert world.deleted == 1
    assert client.read_flow_run(waited.id).state.is_completed()


def test_a_run_that_waits_says_that_it_lives(world, monkeypatch, client):
    """Nobody else would: it may wait for longer than a silent run is believed to live."""
    with at_work(world, monkeypatch) as go_on:
        second = beside(teardown)
        waited = polling.until(lambda: waits(client), "a run that waits", timeout=60)
        polling.until(lambda: heartbeat_of(client, waited), "its heartbeat", timeout=60)
        assert client.read_flow_run(waited.id).state.name == "Waiting"
        go_on.set()
        second.join(60)


def heartbeat_of(client, run):
    asked = {"filter": {"event": {"name": ["prefect.flow-run.heartbeat"]}}}
    events = client.request("POST", "/events/filter", json=asked).json()["events"]
    mine = f"prefect.flow-run.{run.id}"
    return next((e for e in events if e["resource"]["prefect.resource.id"] == mine), None)


def waits(client):
    runs = client.read_flow_runs(sort="EXPECTED_START_TIME_DESC", limit=5)
    return next((run for run in runs if run.state.name == "Waiting"), None)


@pytest.fixture
def scheduled(client):
    """Return a function that makes a run of one schedule, due so many minutes ago."""
    flow = client.create_flow_from_name("build")
    deployment = client.create_deployment(flow, f"late-{uuid4()}")
    runs = []

    def due(minutes, **parameters):
        when = Scheduled(scheduled_time=datetime.now(UTC) - timedelta(minutes=minutes))
        made = client.create_flow_run_from_deployment(deployment, parameters=parameters, state=when)
        runs.append(made.id)
        # Only the server's own scheduler says so, which has no run of the past.
        return client.read_flow_run(made.id).model_copy(update={"auto_scheduled": True})

    yield due
    for run in runs:  # tomorrow's would be the last one to every other test
        client.delete_flow_run(run)
    client.delete_deployment(deployment)


def test_of_the_runs_that_a_paused_pool_kept_back_the_last_one_is_enough(client, scheduled):
    nights = [scheduled(minutes, environment="a") for minutes in (2880, 1440, 0)]
    other = scheduled(1440, environment="b")
    tomorrow = scheduled(-1440, environment="b")
    for night in nights[:2]:
        with pytest.raises(
            environment_lock.Skipped, match="next run of its schedule, is due already"
        ):
            with environment_lock.lock_environment("kept-back", night, "wait"):
                raise AssertionError("it had its turn")
    for run in (nights[2], other, tomorrow):
        with environment_lock.lock_environment("kept-back", run, "wait"):
            pass


def test_environments_of_other_names_do_not_wait_for_each_other(world, monkeypatch):
    with at_work(world, monkeypatch):
        teardown(environment(name="other"), if_busy="refuse")
        assert world.deleted == 1


def test_a_run_on_another_machine_is_respected_too(world, client):
    client.upsert_global_concurrency_limit_by_name("isthmus-pair", 1)
    taken = concurrency_limit.acquire_slot(client, "isthmus-pair")
    with pytest.raises(Busy, match="pair is in use by a run on another machine"):
        build(environment(), if_busy="refuse")
    client.release_concurrency_slots_with_lease(taken)
    assert build(environment(), if_busy="refuse").verdict == "pass"
    limit = client.read_global_concurrency_limit_by_name("isthmus-pair")
    assert (limit.limit, limit.active_slots) == (1, 0)


def test_what_a_dead_run_held_is_free_at_once_and_the_run_is_marked(world, client):
    dead = client.create_flow_run(build, parameters={"environment": environment()}, state=Running())
    client.upsert_global_concurrency_limit_by_name("isthmus-pair", 1)
    held_by = concurrency_limit.acquire_slot(client, "isthmus-pair")
    record = {"run": str(dead.id), "lease": str(held_by), "api": str(client.api_url)}
    with file_lock.acquire("pair") as held:
        held.update_record(**record)
        kept = held.path.read_text()
    held.path.write_text(kept)
    assert build(environment(), if_busy="refuse").verdict == "pass"
    ended = client.read_flow_run(dead.id).state
    assert ended.is_crashed() and "without setting a final state" in ended.message
    assert not held.path.exists()


@pytest.fixture
def left_over(client):
    """Return a function that leaves the record of a run that died; each value may be another's."""

    def leave(**other):
        record = {"run": str(uuid4()), "lease": str(uuid4()), "api": str(client.api_url)}
        with file_lock.acquire("pair") as held:
            held.update_record(who="a run that died", **{**record, **other})
            kept = held.path.read_text()
        held.path.write_text(kept)
        return held.path

    return leave


@pytest.mark.parametrize(
    "other", [{}, {"run": "no identity"}, {"lease": "no identity"}, {"api": "http://elsewhere/api"}]
)
def test_the_record_of_a_run_that_its_server_does_not_know_stands_in_nobodys_way(
    world, left_over, other
):
    path = left_over(**other)
    assert build(environment(), if_busy="refuse").verdict == "pass"
    assert not path.exists()


@pytest.mark.parametrize("text", ["", "{", "[1]", '{"who": 7}', '"text"', "\x00\x00", "null"])
def test_a_damaged_record_is_thrown_away(world, left_over, text):
    path = left_over()
    path.write_text(text)
    assert build(environment(), if_busy="refuse").verdict == "pass"
    assert not path.exists()


def test_a_run_that_failed_leaves_no_record_of_itself(world):
    world.troubles["shanghai"] = [Rejected("403 Forbidden")]
    with pytest.raises(Rejected):
        build(environment())
    with file_lock.acquire("pair") as held:
        assert held.stale_record == {}


def suspended(world, monkeypatch, meanwhile):
    """Have a build suspended for longer than its lease; `meanwhile` is what others do then."""
    ensure, late = world.ensure, []
    monkeypatch.setattr(concurrency_limit, "clock", lambda: time.monotonic() + sum(late))
    # A beat in between, on a slow machine, would end this very process's programs.
    monkeypatch.setattr(heartbeat, "HEARTBEAT_INTERVAL", 3600.0)

    def ensured(*what):
        if not late:
            late.append(70.0)
            meanwhile()
        return ensure(*what)

    monkeypatch.setattr(world, "ensure", ensured)


def free(client):
    """End the lease of whoever has the place, as the server does when it was not renewed."""
    held = json.loads((state.home() / "locks" / "pair.json").read_text())["lease"]
    client.release_concurrency_slots_with_lease(UUID(held))


def test_a_run_that_was_suspended_while_another_one_had_its_turn_changes_nothing(
    world, monkeypatch, client
):
    others = []

    def meanwhile():
        free(client)
        others.append(concurrency_limit.acquire_slot(client, "isthmus-pair"))

    suspended(world, monkeypatch, meanwhile)
    with pytest.raises(
        concurrency_limit.LeaseLost, match="lost its lease on pair; another run may have changed it"
    ) as e:
        build(environment())
    assert (e.value.exit_code, world.writes()) == (75, {"beijing": [], "shanghai": []})
    assert "isthmus status pair" in e.value.hint
    client.release_concurrency_slots_with_lease(others[0])


def test_a_run_that_was_suspended_cannot_know_who_came_and_went(world, monkeypatch, client):
    suspended(world, monkeypatch, lambda: free(client))
    with pytest.raises(concurrency_limit.LeaseLost, match="suspended, or cut off"):
        build(environment())
    assert world.writes() == {"beijing": [], "shanghai": []}


def test_a_run_that_was_late_and_still_has_its_place_goes_on(world, monkeypatch):
    suspended(world, monkeypatch, lambda: None)
    assert build(environment()).verdict == "pass"


def test_a_run_whose_server_is_away_for_longer_than_its_lease_writes_nothing(
    world, monkeypatch, client
):
    monkeypatch.setattr(concurrency_limit, "SERVER_OUTAGE_TIMEOUT", 0.0)

    def gone(*_):
        raise ConnectError("connection refused")

    suspended(
        world,
        monkeypatch,
        lambda: monkeypatch.setattr(SyncPrefectClient, "renew_concurrency_lease", gone),
    )
    with pytest.raises(
        concurrency_limit.LeaseLost,
        match="the Prefect server to renew the lease, and the lease has expired",
    ):
        build(environment())
    assert world.writes() == {"beijing": [], "shanghai": []}


def test_a_server_that_is_away_for_a_moment_ends_no_run_that_takes_its_turn(world, monkeypatch):
    take, troubles = (
        concurrency_limit.acquire_slot,
        [ConnectError("connection refused"), ConnectError("reset")],
    )

    def occupy(*where):
        if troubles:
            raise troubles.pop()
        return take(*where)

    monkeypatch.setattr(concurrency_limit, "acquire_slot", occupy)
    assert build(environment(), if_busy="refuse").verdict == "pass"
    assert not troubles


def test_a_run_that_is_cancelled_while_it_waits_ends_as_cancelled(world, monkeypatch, client):
    with at_work(world, monkeypatch):
        second = beside(teardown)
        waits_now = polling.until(lambda: waits(client), "a run that waits", timeout=60)
        client.set_flow_run_state(waits_now.id, Cancelling(), force=True)
        second.join(60)
        ended = client.read_flow_run(waits_now.id).state
    assert ended.is_cancelled() and "while it waited for the environment's lock" in ended.message
    assert world.deleted == 0


def test_only_verify_leaves_what_a_retry_may_believe(world):
    build(environment())
    with file_lock.acquire("pair") as held:
        changed_by = held.last_run_id
    assert changed_by
    verify(environment())
    with file_lock.acquire("pair") as held:
        assert held.last_run_id == changed_by
    teardown(environment())
    with file_lock.acquire("pair") as held:
        assert held.last_run_id not in ("", changed_by)


@pytest.fixture
def deployed(client):
    """Return a function that makes a run as a deployment does, and one that runs it, or again."""
    flow_id = client.create_flow(build)
    deployment = client.create_deployment(flow_id, "build", enforce_parameter_schema=False)
    run = client.create_flow_run_from_deployment(
        deployment, parameters={"environment": environment().model_dump(mode="json")}
    )

    def go():
        client.set_flow_run_state(run.id, Scheduled(name="AwaitingRetry"), force=True)
        return run_flow(
            build,
            flow_run=client.read_flow_run(run.id),
            parameters={"environment": environment()},
            return_type="state",
        )

    yield go
    client.delete_deployment(deployment)  # the project's own file has one of that name


FAILS = ("join", "shanghai")


def test_a_retry_goes_on_at_the_failed_step(world, deployed, started):
    world.troubles["shanghai"] = [Rejected("403 Forbidden")]
    assert deployed().is_failed()
    first = set(started)
    started.clear()
    assert deployed().is_completed()
    assert FAILS in started
    repeated = first & set(started)
    looks = {
        "prepare",
        "create cluster",
        "find removed clusters",
        "merge kubeconfigs",
        "check istiod remote endpoint",
    }
    assert {name for name, _ in repeated - {FAILS}} <= looks
    assert ("install host", "beijing") in first


def test_a_retry_believes_nothing_once_another_run_was_there(world, deployed, started):
    world.troubles["shanghai"] = [Rejected("403 Forbidden")]
    assert deployed().is_failed()
    build(environment())
    started.clear()
    assert deployed().is_completed()
    assert ("install host", "beijing") in started


def test_a_retry_does_everything_in_a_cluster_that_was_rebuilt(world, deployed, started):
    world.troubles["shanghai"] = [Rejected("403 Forbidden")]
    assert deployed().is_failed()
    world.host.access = world.host.access.model_copy(update={"uid": "another"})
    started.clear()
    assert deployed().is_completed()
    assert ("install host", "beijing") in started


def test_a_run_that_ended_well_keeps_nothing_for_a_retry(world, deployed, folders):
    assert deployed().is_completed()
    kept = [p for p in (folders / "results").rglob("*") if p.is_file()]
    assert {p.parent.parent.name for p in kept} == {"istiod-remote-endpoint"}


def test_a_failure_is_an_event_with_words_for_a_person_and_no_parameters(world, client):
    world.troubles["shanghai"] = [Rejected("403 Forbidden", hint="ask for rights")]
    with pytest.raises(Rejected):
        build(environment())
    run = client.read_flow_runs(sort="EXPECTED_START_TIME_DESC", limit=1)[0]
    found = polling.until(lambda: failure_of(client, run), "the event", timeout=60, interval=0.5)
    payload = found["payload"]
    assert payload.pop("link").endswith(f"/runs/flow-run/{run.id}")
    assert payload == {
        "environment": "pair",
        "step": "join",
        "cluster": "shanghai",
        "reason": "403 Forbidden",
    }


def failure_of(client, run):
    asked = {"filter": {"event": {"name": ["isthmus.run.failed"]}}}
    events = client.request("POST", "/events/filter", json=asked).json()["events"]
    mine = f"prefect.flow-run.{run.id}"
    return next((e for e in events if e["resource"]["prefect.resource.id"] == mine), None)


@pytest.fixture
def living(client):
    """A run that lives, and the place it holds."""
    run = client.create_flow_run(build, parameters={"environment": environment()}, state=Running())
    client.upsert_global_concurrency_limit_by_name("isthmus-pair", 1)
    place = concurrency_limit.Lease(
        client, "isthmus-pair", concurrency_limit.acquire_slot(client, "isthmus-pair"), None
    )
    yield run, place
    place.release()


def test_a_run_of_the_command_line_hears_that_it_was_cancelled(living, client, monkeypatch):
    run, place = living
    heard = threading.Event()
    monkeypatch.setattr(
        heartbeat.os, "kill", lambda pid, sign: sign == signal.SIGTERM and heard.set()
    )
    monkeypatch.setattr(heartbeat, "CANCEL_POLL_INTERVAL", 0.05)
    with heartbeat.send_heartbeats(run, place):
        client.set_flow_run_state(run.id, Cancelling(), force=True)
        assert heard.wait(60)


def test_a_run_whose_record_was_deleted_ends_and_is_not_deaf(living, client, monkeypatch):
    run, place = living
    heard = threading.Event()
    monkeypatch.setattr(
        heartbeat.os, "kill", lambda pid, sign: sign == signal.SIGTERM and heard.set()
    )
    monkeypatch.setattr(heartbeat, "CANCEL_POLL_INTERVAL", 0.05)
    with heartbeat.send_heartbeats(run, place):
        client.delete_flow_run(run.id)
        assert heard.wait(60)


def test_no_answer_makes_a_run_deaf(living, client, monkeypatch):
    run, place = living
    heard, answers = threading.Event(), [ValueError("no JSON"), KeyError("state"), OSError("gone")]
    read = SyncPrefectClient.read_flow_run

    def unkind(self, identity):
        if answers:
            raise answers.pop()
        return read(self, identity)

    monkeypatch.setattr(SyncPrefectClient, "read_flow_run", unkind)
    monkeypatch.setattr(
        heartbeat.os, "kill", lambda pid, sign: sign == signal.SIGTERM and heard.set()
    )
    monkeypatch.setattr(heartbeat, "CANCEL_POLL_INTERVAL", 0.05)
    with heartbeat.send_heartbeats(run, place):
        client.set_flow_run_state(run.id, Cancelling(), force=True)
        assert heard.wait(60)
    assert not answers


def test_a_run_that_lost_its_turn_stops_all_that_waits(living, client, monkeypatch):
    run, place = living
    stopped = threading.Event()
    monkeypatch.setattr(heartbeat.polling, "stop", stopped.set)
    monkeypatch.setattr(heartbeat.processes, "terminate_children", lambda: None)
    for name in ("CANCEL_POLL_INTERVAL", "HEARTBEAT_INTERVAL"):
        monkeypatch.setattr(heartbeat, name, 0.05)
    place.release()
    place.valid_until = 0.0
    with heartbeat.send_heartbeats(run, place):
        assert stopped.wait(60)
    with pytest.raises(concurrency_limit.LeaseLost):
        place.check()


def test_a_run_whose_place_the_server_forgot_takes_it_again(living, client):
    _, place = living
    place.release()
    before = place.lease_id
    place.renew()
    assert place.lease_id != before
    assert client.read_global_concurrency_limit_by_name("isthmus-pair").active_slots == 1


def test_a_run_that_was_told_to_stop_starts_no_step(world, monkeypatch):
    from isthmus.errors import Stopped

    ensure = world.ensure

    def stop(*what):
        polling.stop()
        return ensure(*what)

    monkeypatch.setattr(world, "ensure", stop)
    with pytest.raises(Stopped):
        build(environment())
    assert world.writes() == {"beijing": [], "shanghai": []}


def test_a_cancelled_run_of_the_command_line_ends_as_cancelled(living, client):
    run, _ = living
    client.update_flow_run(run.id, tags=["mine"])
    client.set_flow_run_state(run.id, Cancelling(), force=True)

    def cancelled():
        cancel("mine", "interrupted by SIGTERM")
        return client.read_flow_run(run.id).state.is_cancelled() or None

    assert polling.until(cancelled, "the run's end", timeout=60)
