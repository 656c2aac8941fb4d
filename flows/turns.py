"""Whose turn it is: one run at a time for each environment, on this machine and among machines.

On one machine the lock of isthmus.turn decides, and ends with its process. Among machines it is a
strict limit of Prefect's server, held by a lease that ends when nobody renews it.
"""

import os
import platform
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import Literal, TypeVar
from uuid import UUID

from httpx import HTTPError, HTTPStatusError
from prefect import get_client
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import FlowRun
from prefect.logging import get_run_logger
from prefect.states import Crashed, Running

from isthmus import turn, waiting
from isthmus.errors import Busy

T = TypeVar("T")
IfBusy = Literal["wait", "skip", "refuse"]
"""What a run does while another one has the environment."""
LEASE = 60.0
"""Seconds; the shortest that Prefect's server grants (api/concurrency_limits_v2.py)."""
PATIENCE = 12 * 3600.0
"""Seconds that a run waits for its turn at most."""
LOCKED, GONE = 423, 410


class Skipped(Busy):
    """The environment was in use, and this run was told not to wait."""


@dataclass
class Lease:
    """A run's place in the server's limit."""

    client: SyncPrefectClient
    name: str
    identity: UUID
    local: turn.Turn

    def renew(self) -> None:
        """Keep it for another LEASE seconds; take it anew if the server forgot it."""
        try:
            self.client.renew_concurrency_lease(self.identity, LEASE)
        except HTTPStatusError as error:
            if error.response.status_code == GONE:
                self.identity = _occupy(self.client, self.name)

    def release(self) -> None:
        """Give it back; a server that does not answer forgets it by itself."""
        with suppress(HTTPError):
            self.client.release_concurrency_slots_with_lease(self.identity)


def limit(environment: str) -> str:
    """Return the name of the environment's limit."""
    return f"isthmus-{environment}"


@contextmanager
def turn_of(environment: str, run: FlowRun, if_busy: IfBusy) -> Iterator[Lease]:
    """Let the run be the only one that is at work on the environment.

    Raises Busy, or Skipped, if another one is and this one shall not wait.
    """
    with ExitStack() as stack:
        client = stack.enter_context(get_client(sync_client=True))

        def until_free(attempt: Callable[[], T]) -> T:
            return _until_free(client, run, if_busy, attempt)

        local = until_free(lambda: stack.enter_context(turn.taken(environment)))
        _settle(client, local.before, run)
        identity = until_free(lambda: _occupy(client, limit(environment)))
        lease = Lease(client, limit(environment), identity, local)
        stack.callback(lease.release)
        local.note(
            who=f"{run.name} (pid {os.getpid()} on {platform.node()})",
            run=str(run.id),
            lease=str(lease.identity),
            api=str(client.api_url),
        )
        yield lease


def _until_free(
    client: SyncPrefectClient, run: FlowRun, if_busy: IfBusy, attempt: Callable[[], T]
) -> T:
    """Return what `attempt` returns as soon as it raises Busy no more."""
    told = ""

    def free() -> T | None:
        nonlocal told
        try:
            return attempt()
        except Busy as error:
            if if_busy == "skip":
                raise Skipped(error.message) from None
            if if_busy == "refuse":
                raise
            if told != error.message:
                told = error.message
                _tell(client, run, told)
            return None

    found = waiting.until(free, "its turn", timeout=PATIENCE, interval=1, seen=lambda: told)
    if told:
        client.set_flow_run_state(run.id, Running(), force=True)
    return found


def _tell(client: SyncPrefectClient, run: FlowRun, why: str) -> None:
    get_run_logger().warning("waits for its turn: %s", why)
    client.set_flow_run_state(run.id, Running(name="Waiting", message=why), force=True)


def _occupy(client: SyncPrefectClient, name: str) -> UUID:
    try:
        answer = client.increment_concurrency_slots_with_lease([name], 1, "concurrency", LEASE)
    except HTTPStatusError as error:
        if error.response.status_code != LOCKED:
            raise
        environment = name.removeprefix("isthmus-")
        raise Busy(f"{environment} is in use by a run on another machine") from None
    if not answer.json()["limits"]:
        client.upsert_global_concurrency_limit_by_name(name, 1)
        return _occupy(client, name)
    return UUID(answer.json()["lease_id"])


def _settle(client: SyncPrefectClient, before: turn.Record, run: FlowRun) -> None:
    """Give back what a run still holds that died on this machine, and say of it that it did."""
    if before.get("api") != str(client.api_url):
        return
    with suppress(HTTPError, ValueError):
        client.release_concurrency_slots_with_lease(UUID(before["lease"]))
        if before["run"] == str(run.id):
            return
        dead = client.read_flow_run(UUID(before["run"]))
        if dead.state and not dead.state.is_final():
            message = "its process ended without a word; found by the next run"
            client.set_flow_run_state(dead.id, Crashed(message=message), force=True)
