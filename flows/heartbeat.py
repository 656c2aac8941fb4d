"""A sign of life: while a run lives it says so, keeps its turn, and hears that it was cancelled.

Prefect's own heartbeat thread holds a run's end up for a second, and its worker is the only one to
hear a cancellation: a run of the command line, or one whose worker died, would hear nothing.
"""

import contextvars
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial

from httpx import HTTPError
from prefect.client.schemas.objects import FlowRun, State
from prefect.events import emit_event
from prefect.exceptions import ObjectNotFound
from prefect.states import Cancelled, Cancelling

from flows.concurrency_limit import Lease, LeaseLost
from isthmus import polling
from isthmus.adapters import processes

CANCEL_POLL_INTERVAL = 3.0
"""Seconds from one look for a cancellation to the next."""
HEARTBEAT_INTERVAL = 20.0
"""Seconds from one heartbeat to the next; a run is taken for dead after 75 without one."""
SIGTERM_EXIT_CODE = 128 + signal.SIGTERM
"""Exit code of a run that was asked to end."""
WORKER_CANCEL_TIMEOUT = 9.0
"""Seconds in which a worker, if there is one, ends a cancelled run; it needs 6 to 7."""


@contextmanager
def heartbeats_while_waiting(run: FlowRun) -> Iterator[None]:
    """Give signs of life of a run that waits for its lease; it hears of a cancellation itself.

    A run whose pod was taken away may wait for longer than a run is believed to live without one.
    """
    with _thread(partial(_wait, run)):
        yield


@contextmanager
def send_heartbeats(run: FlowRun, lease: Lease) -> Iterator[None]:
    """Give signs of life of the run, and keep its lease, while the block runs."""
    with _thread(_Heartbeat(run, lease).beat):
        yield


@contextmanager
def _thread(beat: Callable[[threading.Event], None]) -> Iterator[None]:
    end = threading.Event()
    context = contextvars.copy_context()
    threading.Thread(target=context.run, args=[beat, end], name="heartbeat", daemon=True).start()
    try:
        yield
    finally:
        end.set()


def _wait(run: FlowRun, end: threading.Event) -> None:
    while not end.is_set():
        with suppress(Exception):
            _emit(run)
        end.wait(HEARTBEAT_INTERVAL)


def _emit(run: FlowRun) -> None:
    emit_event("prefect.flow-run.heartbeat", _resource(run), related=_related(run))


class _Heartbeat:
    def __init__(self, run: FlowRun, lease: Lease) -> None:
        self._run, self._lease = run, lease
        self._end = threading.Event()
        self._last_beat = 0.0
        self._cancelled_at = 0.0

    def beat(self, end: threading.Event) -> None:
        self._end = end
        while not end.is_set():
            # A server that restarts is no reason to stop: it is back before anything expires.
            # Nor is what a proxy before it says: a thread that ended would be deaf to Cancel.
            for act in (self._check_cancelled, self._renew_if_due):
                with suppress(Exception):
                    act()
            end.wait(CANCEL_POLL_INTERVAL)

    def _renew_if_due(self) -> None:
        """Give a sign of life and keep the turn; a run that has lost it stops all that it does."""
        if time.monotonic() - self._last_beat < HEARTBEAT_INTERVAL:
            return
        try:
            self._beat_and_renew()
        except LeaseLost:
            polling.stop()
            processes.terminate_children()
            self._end.set()

    def _beat_and_renew(self) -> None:
        first = not self._last_beat
        _emit(self._run)
        if not first:
            self._lease.renew()
        # A renewal that failed is tried again at the next look, not only at the next beat.
        self._last_beat = time.monotonic()

    def _check_cancelled(self) -> None:
        state = self._state()
        if not (state and state.is_cancelling()) or self._end.is_set():
            return
        self._cancelled_at = self._cancelled_at or time.monotonic()
        if self._run.deployment_id is None:
            os.kill(os.getpid(), signal.SIGTERM)
            self._end.set()
        elif time.monotonic() - self._cancelled_at > WORKER_CANCEL_TIMEOUT:
            self._exit_cancelled()

    def _state(self) -> State | None:
        """Return the run's state; a run that was deleted is to end as one that was cancelled."""
        try:
            return self._lease.client.read_flow_run(self._run.id).state
        except ObjectNotFound:
            return Cancelling(message="its record was deleted on the Prefect server")

    def _exit_cancelled(self) -> None:
        """End a run whose worker does not: there is nobody above it who would hear of an error."""
        message = "cancelled; its worker did not end it in time, so the run ended itself"
        with suppress(HTTPError, ObjectNotFound):
            self._lease.client.set_flow_run_state(
                self._run.id, Cancelled(message=message), force=True
            )
        self._lease.release()
        processes.terminate_children()
        os._exit(SIGTERM_EXIT_CODE)


def _resource(run: FlowRun) -> dict[str, str]:
    return {"prefect.resource.id": f"prefect.flow-run.{run.id}", "prefect.resource.name": run.name}


def _related(run: FlowRun) -> list[dict[str, str]]:
    """Return what automations know a run by, as Prefect's own heartbeat has it."""
    parts: list[tuple[str, object]] = [("flow", run.flow_id), ("deployment", run.deployment_id)]
    parts += [("tag", tag) for tag in run.tags]
    return [
        {"prefect.resource.id": f"prefect.{role}.{identity}", "prefect.resource.role": role}
        for role, identity in parts
        if identity
    ]
