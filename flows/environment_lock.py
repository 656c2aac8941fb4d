"""Whose turn it is: one run at a time for each environment, on this machine and among machines.

On one machine the lock of isthmus.file_lock decides, and ends with its process; among machines the
lease of flows.concurrency_limit.
"""

import os
import platform
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from typing import Literal, TypeVar
from uuid import UUID

from httpx import HTTPError
from prefect import get_client
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterDeploymentId,
    FlowRunFilterExpectedStartTime,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.client.schemas.sorting import FlowRunSort
from prefect.exceptions import ObjectNotFound
from prefect.logging import get_run_logger
from prefect.states import Crashed, Running

from flows.concurrency_limit import (
    SERVER_ERRORS,
    SERVER_OUTAGE_TIMEOUT,
    Lease,
    acquire_lease,
    clock,
    limit_name,
)
from isthmus import file_lock, polling
from isthmus.errors import Busy

T = TypeVar("T")
IfBusy = Literal["wait", "skip", "refuse"]
"""What a run does while another one has the environment."""
LOCK_TIMEOUT = 12 * 3600.0
"""Seconds that a run waits for its turn at most."""


class Skipped(Busy):
    """The environment was in use, and this run was told not to wait."""


class CancelledWhileWaiting(Busy):
    """The run was cancelled while it waited for its turn."""


@contextmanager
def lock_environment(environment: str, run: FlowRun, if_busy: IfBusy) -> Iterator[Lease]:
    """Let the run be the only one that is at work on the environment.

    Raises Busy, or Skipped, if another one is and this one shall not wait; Skipped, too, for a late
    run of a schedule if the next one is due already.
    """
    with ExitStack() as stack:
        client = stack.enter_context(get_client(sync_client=True))
        _skip_if_next_run_is_due(client, run)

        def until_free(attempt: Callable[[], T]) -> T:
            return _until_free(client, run, if_busy, attempt)

        local = until_free(lambda: stack.enter_context(file_lock.acquire(environment)))
        _release_stale_lease(client, local.stale_record, run)
        lease = until_free(lambda: acquire_lease(client, limit_name(environment), local))
        stack.callback(lease.release)
        local.update_record(
            who=f"{run.name} (pid {os.getpid()} on {platform.node()})",
            run=str(run.id),
            lease=str(lease.lease_id),
            api=str(client.api_url),
        )
        stack.enter_context(polling.check_before_changes(lease.check))
        yield lease


def _skip_if_next_run_is_due(client: SyncPrefectClient, run: FlowRun) -> None:
    """Raise Skipped if a later run of the schedule is due, and will do all that this one would.

    After a night with the pool paused, or without a server, all that were missed begin at once.
    """
    if not (run.auto_scheduled and run.deployment_id and run.expected_start_time):
        return
    due = FlowRunFilter(
        deployment_id=FlowRunFilterDeploymentId(any_=[run.deployment_id]),
        state=FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.SCHEDULED])),
        expected_start_time=FlowRunFilterExpectedStartTime(after_=run.expected_start_time),
    )
    in_order = FlowRunSort.EXPECTED_START_TIME_ASC
    try:
        found = client.read_flow_runs(flow_run_filter=due, sort=in_order)
    except HTTPError:
        return  # one run too many is no harm
    for later in found:
        is_due = (later.expected_start_time or run.expected_start_time) <= datetime.now(UTC)
        if is_due and later.id != run.id and later.parameters == run.parameters:
            raise Skipped(f"{later.name}, the next run of its schedule, is due already")


def _until_free(
    client: SyncPrefectClient, run: FlowRun, if_busy: IfBusy, attempt: Callable[[], T]
) -> T:
    """Return what `attempt` returns as soon as it raises Busy no more."""
    told, away = "", list[float]()

    def free() -> T | None:
        nonlocal told
        if told:
            _raise_if_cancelled(client, run)
        try:
            return attempt()
        except HTTPError:
            # A server that restarts is back in a moment; one that is gone is told of.
            away.append(clock())
            if away[-1] - away[0] > SERVER_OUTAGE_TIMEOUT:
                raise
            return None
        except Busy as error:
            if if_busy == "skip":
                raise Skipped(error.message) from None
            if if_busy == "refuse":
                raise
            if told != error.message:
                told = error.message
                _report_waiting(client, run, told)
            return None

    found = polling.until(
        free, "the environment's lock", timeout=LOCK_TIMEOUT, interval=1, seen=lambda: told
    )
    if told:
        _raise_if_cancelled(client, run)
        client.set_flow_run_state(run.id, Running(), force=True)
    return found


def _report_waiting(client: SyncPrefectClient, run: FlowRun, why: str) -> None:
    get_run_logger().warning("waiting for the environment's lock: %s", why)
    client.set_flow_run_state(run.id, Running(name="Waiting", message=why), force=True)


def _raise_if_cancelled(client: SyncPrefectClient, run: FlowRun) -> None:
    """Raise CancelledWhileWaiting if the run was cancelled or deleted.

    While it waits, nobody else looks.
    """
    try:
        state = client.read_flow_run(run.id).state
    except HTTPError:
        return
    except ObjectNotFound:
        raise CancelledWhileWaiting(
            "deleted on the Prefect server while it waited for the environment's lock"
        ) from None
    if state and (state.is_cancelling() or state.is_cancelled()):
        raise CancelledWhileWaiting("cancelled while it waited for the environment's lock")


def _release_stale_lease(
    client: SyncPrefectClient, before: file_lock.LockRecord, run: FlowRun
) -> None:
    """Give back what a run still holds that died on this machine, and say of it that it did.

    A record of what the server knows no more, or that makes no sense, is passed over.
    """
    if before.get("api") != str(client.api_url):
        return
    with suppress(*SERVER_ERRORS, KeyError, ValueError):
        client.release_concurrency_slots_with_lease(UUID(before["lease"]))
    with suppress(*SERVER_ERRORS, KeyError, ValueError):
        if before["run"] != str(run.id):
            _mark_crashed(client, UUID(before["run"]))


def _mark_crashed(client: SyncPrefectClient, identity: UUID) -> None:
    dead = client.read_flow_run(identity)
    if dead.state and not dead.state.is_final():
        message = "its process died without setting a final state; detected by the next run"
        client.set_flow_run_state(dead.id, Crashed(message=message), force=True)
