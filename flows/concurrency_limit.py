"""A run's place in a strict limit of Prefect's server: it makes it the only one among machines.

It is held by a lease that ends when nobody renews it. A run that was suspended or cut off for
longer cannot know who was there meanwhile, so it changes nothing any more.
"""

import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from uuid import UUID

from httpx import HTTPError, HTTPStatusError
from prefect.client.orchestration import SyncPrefectClient
from prefect.exceptions import ObjectNotFound

from isthmus import file_lock, polling
from isthmus.adapters import prefect_record
from isthmus.errors import Busy, NotReady

LEASE_SECONDS = 60.0
"""Seconds; the shortest that Prefect's server grants (api/concurrency_limits_v2.py)."""
RENEW_DEADLINE = LEASE_SECONDS - 5.0
"""Seconds after a renewal was asked for in which the turn is surely ours: a request on its way ends
within the rest."""
SERVER_OUTAGE_TIMEOUT = 60.0
"""Seconds that a run waits, writing nothing, for a server which is away longer than its lease."""
UNKNOWN_RUN_STOP_SECONDS = 9.0
"""Seconds after which a run whose record is gone has stopped: it looks every 3
(flows.heartbeat)."""
PREFIX = "isthmus-"
LOCKED, GONE, MISSING = 423, 410, 404
SERVER_ERRORS = (HTTPError, ObjectNotFound)
"""What the client raises if the server does not answer, or knows nothing of what is asked for."""


class LeaseLost(Busy):
    """The run's turn ended before the run did; another one may have changed the environment."""


def clock() -> float:
    """Return seconds that go on while the process, or the machine, is suspended."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


@dataclass
class Lease:
    """A run's place in the server's limit."""

    client: SyncPrefectClient
    name: str
    lease_id: UUID
    local: file_lock.EnvironmentLock
    valid_until: float = field(default_factory=lambda: clock() + RENEW_DEADLINE)
    """When, by our clock, the server may give the place to another run."""
    lost: LeaseLost | None = None
    _one: threading.Lock = field(default_factory=threading.Lock)

    def check(self) -> None:
        """Raise LeaseLost unless no other run can have had this turn; renew it first if it is late.

        A server that is away is waited for: while it is, it gives the turn to nobody else here,
        but another machine may reach it.
        """
        if self.lost:
            raise self.lost
        if clock() < self.valid_until:
            return
        try:
            polling.until(
                self._renewed,
                "the Prefect server to renew the lease",
                timeout=SERVER_OUTAGE_TIMEOUT,
                interval=1,
            )
        except NotReady as error:
            raise self._mark_lost(f"{error.message}, and the lease has expired") from None

    def renew(self) -> None:
        """Keep it for another LEASE_SECONDS; take it anew if the server forgot it in time.

        Raises LeaseLost if the server may have given it to another run.
        """
        with self._one:
            begun = clock()
            try:
                self.client.renew_concurrency_lease(self.lease_id, LEASE_SECONDS)
            except HTTPStatusError as error:
                if error.response.status_code not in (GONE, MISSING):
                    raise
                self._reacquire(begun)
            self.valid_until = begun + RENEW_DEADLINE

    def release(self) -> None:
        """Give it back; a server that does not answer forgets it by itself."""
        with suppress(*SERVER_ERRORS):
            self.client.release_concurrency_slots_with_lease(self.lease_id)

    def _renewed(self) -> bool | None:
        try:
            self.renew()
        except HTTPError:
            return None
        return True

    def _reacquire(self, now: float) -> None:
        """Take a place that the server forgot, unless another run can have had it meanwhile."""
        if now >= self.valid_until:
            raise self._mark_lost(
                "it was suspended, or cut off from the Prefect server, for too long"
            )
        try:
            self.lease_id = acquire_slot(self.client, self.name)
        except Busy as error:
            raise self._mark_lost(error.message) from None

    def _mark_lost(self, why: str) -> LeaseLost:
        environment = self.name.removeprefix(PREFIX)
        text = f"this run lost its lease on {environment}; another run may have changed it: {why}"
        self.lost = LeaseLost(
            text, hint=f"it stopped; check: isthmus status {environment}; then run it again"
        )
        self.lost.timed_out = True
        return self.lost


def limit_name(environment: str) -> str:
    """Return the name of the environment's limit."""
    return f"{PREFIX}{environment}"


def acquire_lease(client: SyncPrefectClient, name: str, local: file_lock.EnvironmentLock) -> Lease:
    """Return a place in the environment's limit; raises Busy if another run has it."""
    begun = clock()
    return Lease(client, name, acquire_slot(client, name), local, begun + RENEW_DEADLINE)


def acquire_slot(client: SyncPrefectClient, name: str) -> UUID:
    """Return the lease of a place that was free; raises Busy if it was not."""
    try:
        answer = client.increment_concurrency_slots_with_lease(
            [name], 1, "concurrency", LEASE_SECONDS
        )
    except HTTPStatusError as error:
        if error.response.status_code != LOCKED:
            raise
        environment = name.removeprefix(PREFIX)
        raise Busy(f"{environment} is in use by a run on another machine") from None
    if not answer.json()["limits"]:
        client.upsert_global_concurrency_limit_by_name(name, 1)
        _let_unknown_runs_end(client)
        return acquire_slot(client, name)
    return UUID(answer.json()["lease_id"])


def _let_unknown_runs_end(client: SyncPrefectClient) -> None:
    """Wait until runs that the server does not know have heard of it, and have stopped.

    A server that never heard of an environment may have got another database a moment ago, with a
    run of another machine still at work. Our own server has runs of this machine alone: its lock
    knows them all.
    """
    if not prefect_record.is_own(client.api_url):
        end = clock() + UNKNOWN_RUN_STOP_SECONDS
        polling.until(
            lambda: clock() >= end or None,
            "runs unknown to the Prefect server to end",
            timeout=2 * UNKNOWN_RUN_STOP_SECONDS,
        )
