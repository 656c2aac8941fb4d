"""How a story runs: every step starts as soon as what it needs is there, and none is forgotten."""

import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from prefect import Task
from prefect.client.schemas.objects import FlowRun, State
from prefect.context import TagsContext
from prefect.futures import PrefectFuture

from flows import run_log
from flows.concurrency_limit import Lease
from flows.environment_lock import CancelledWhileWaiting, IfBusy, Skipped, lock_environment
from flows.heartbeat import SIGTERM_EXIT_CODE, heartbeats_while_waiting, send_heartbeats
from isthmus import polling
from isthmus.adapters import processes
from isthmus.environment import Environment
from isthmus.errors import Busy
from isthmus.file_lock import EnvironmentLock
from isthmus.verification import Verification
from tasks import policies, prefect_blocks
from tasks.artifacts import publish_artifacts
from tasks.run_tracker import RunTracker, current_flow_run

LOOKING = ("verify", "diagnose")
"""Verbs that change nothing."""
STOP_GRACE_SECONDS = 4.0
"""Seconds that steps get to hear that the run was asked to end."""


class StepRunner:
    """The steps of one run; call it to start one."""

    def __init__(self, memory: policies.CacheMode, told: RunTracker) -> None:
        self._futures: list[PrefectFuture[Any]] = []
        self._cache_mode, self._tracker = memory, told

    def __call__(self, step: Task[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Start a step; futures among its arguments are what it waits for."""
        step = policies.with_cache(step, self._cache_mode)
        # A tag would have every step ask for a slot, which SQLite may refuse for seconds.
        with TagsContext(current_tags=set()):
            future = step.submit(*args, **kwargs)
        self._futures.append(future)
        self._tracker.track(future)
        return future

    def wait_all(self) -> None:
        """Wait for every step; then raise what the first failed one raised."""
        for future in self._futures:
            future.wait()
        for future in self._futures:
            _raise_failure(future.state)

    def result(self, future: PrefectFuture[Any]) -> Any:
        """Return what a step found, for a story that goes on by it; a failure ends the story."""
        future.wait()
        if not future.state.is_completed():
            self.wait_all()
        return future.result()

    def verified(self, verdict: PrefectFuture[Any]) -> Verification:
        """Return the verification once every step has ended well; raises VerificationFailed."""
        self.wait_all()
        # Of a red one, too: its step has failed, with what it found.
        result: Verification = verdict.result(raise_on_failure=False)
        result.raise_for_findings()
        return result

    def stop(self, lease: Lease) -> None:
        """See all steps to an end that comes at once; the process ends if one does not hear."""
        polling.stop()
        processes.terminate_children()
        deadline = time.monotonic() + STOP_GRACE_SECONDS
        for future in self._futures:
            future.wait(max(0.0, deadline - time.monotonic()))
        if not all(future.state.is_final() for future in self._futures):
            # Its thread would still write to clusters while the next run has its turn.
            lease.release()
            os._exit(SIGTERM_EXIT_CODE)


@contextmanager
def run_steps(environment: Environment, if_busy: IfBusy, verb: str = "up") -> Iterator[StepRunner]:
    """Hold the environment for one run, and see all steps that the block starts to their end.

    `verb` is the command that goes on after a failure: up, verify, diagnose or down. Raises Busy if
    another run holds the environment and this one shall not wait, and what the first failed step
    raised.
    """
    run = current_flow_run()
    with ExitStack() as stack:
        with _report_busy(environment, verb), heartbeats_while_waiting(run):
            lease = stack.enter_context(lock_environment(environment.name, run, if_busy))
        stack.enter_context(polling.stoppable())
        stack.enter_context(prefect_blocks.read_secret_blocks())
        stack.enter_context(send_heartbeats(run, lease))
        stack.enter_context(polling.use_timeouts(environment.timeouts))
        stack.enter_context(run_log.log_steps())
        steps = StepRunner(
            _cache_mode(run, lease.local), stack.enter_context(publish_artifacts(environment, verb))
        )
        if verb not in LOOKING:
            lease.local.set_last_run(str(run.id))
        try:
            yield steps
            steps.wait_all()
        except Exception:
            if lease.lost:
                raise lease.lost from None
            raise
        except BaseException:
            steps.stop(lease)
            raise


@contextmanager
def _report_busy(environment: Environment, verb: str) -> Iterator[None]:
    """Leave what to do where a run did not get its turn, unless it was to be skipped then."""
    try:
        yield
    except (Skipped, CancelledWhileWaiting):
        raise
    except Busy as error:
        with publish_artifacts(environment, verb):
            raise error


def _cache_mode(run: FlowRun, local: EnvironmentLock) -> policies.CacheMode:
    """Return what this run may believe of what it did before, if it is a retry."""
    if run.deployment_id is None:
        return "none"  # it cannot be retried
    return "kept" if local.last_run_id == str(run.id) else "anew"


def _raise_failure(found: State[Any]) -> None:
    # A step that never ran because another failed has nothing of its own to say, and of a judgement
    # the story says more.
    if found.is_failed() or found.is_crashed():
        error = found.result(raise_on_failure=False)
        if isinstance(error, BaseException):
            raise error
