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
from flows.environment_lock import CancelledWhileWaiting, IfBusy, Skipped, turn_of
from flows.heartbeat import ENDED, beating, waiting
from isthmus import polling
from isthmus.adapters import processes
from isthmus.environment import Environment
from isthmus.errors import Busy
from isthmus.file_lock import EnvironmentLock
from isthmus.verification import Verification
from tasks import policies, prefect_blocks
from tasks.artifacts import telling
from tasks.run_tracker import RunTracker, this_run

GRACE = 4.0
"""Seconds that steps get to hear that the run was asked to end."""


class StepRunner:
    """The steps of one run; call it to start one."""

    def __init__(self, memory: policies.CacheMode, told: RunTracker) -> None:
        self._futures: list[PrefectFuture[Any]] = []
        self._memory, self._told = memory, told

    def __call__(self, step: Task[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Start a step; futures among its arguments are what it waits for."""
        step = policies.remembering(step, self._memory)
        # A tag would have every step ask for a slot, which SQLite may refuse for seconds.
        with TagsContext(current_tags=set()):
            future = step.submit(*args, **kwargs)
        self._futures.append(future)
        self._told.follow(future)
        return future

    def end(self) -> None:
        """Wait for every step; then raise what the first failed one raised."""
        for future in self._futures:
            future.wait()
        for future in self._futures:
            _raise_own(future.state)

    def found(self, future: PrefectFuture[Any]) -> Any:
        """Return what a step found, for a story that goes on by it; a failure ends the story."""
        future.wait()
        if not future.state.is_completed():
            self.end()
        return future.result()

    def proven(self, verdict: PrefectFuture[Any]) -> Verification:
        """Return the verification once every step has ended well; raises VerificationFailed."""
        self.end()
        # Of a red one, too: its step has failed, with what it found.
        result: Verification = verdict.result(raise_on_failure=False)
        result.raise_for_findings()
        return result

    def stop(self, lease: Lease) -> None:
        """See all steps to an end that comes at once; the process ends if one does not hear."""
        polling.stop()
        processes.end_children()
        deadline = time.monotonic() + GRACE
        for future in self._futures:
            future.wait(max(0.0, deadline - time.monotonic()))
        if not all(future.state.is_final() for future in self._futures):
            # Its thread would still write to clusters while the next run has its turn.
            lease.release()
            os._exit(ENDED)


@contextmanager
def steps_of(environment: Environment, if_busy: IfBusy, verb: str = "up") -> Iterator[StepRunner]:
    """Hold the environment for one run, and see all steps that the block starts to their end.

    `verb` is the command that goes on after a failure: up, verify or down. Raises Busy if another
    run holds the environment and this one shall not wait, and what the first failed step raised.
    """
    run = this_run()
    with ExitStack() as stack:
        with _telling_a_refusal(environment, verb), waiting(run):
            lease = stack.enter_context(turn_of(environment.name, run, if_busy))
        stack.enter_context(polling.stoppable())
        stack.enter_context(prefect_blocks.readable())
        stack.enter_context(beating(run, lease))
        stack.enter_context(polling.within(environment.timeouts))
        stack.enter_context(run_log.kept())
        steps = StepRunner(
            _memory(run, lease.local), stack.enter_context(telling(environment, verb))
        )
        if verb != "verify":
            lease.local.change(str(run.id))
        try:
            yield steps
            steps.end()
        except Exception:
            if lease.lost:
                raise lease.lost from None
            raise
        except BaseException:
            steps.stop(lease)
            raise


@contextmanager
def _telling_a_refusal(environment: Environment, verb: str) -> Iterator[None]:
    """Leave what to do where a run did not get its turn, unless it was to be skipped then."""
    try:
        yield
    except (Skipped, CancelledWhileWaiting):
        raise
    except Busy as error:
        with telling(environment, verb):
            raise error


def _memory(run: FlowRun, local: EnvironmentLock) -> policies.CacheMode:
    """Return what this run may believe of what it did before, if it is a retry."""
    if run.deployment_id is None:
        return "none"  # it cannot be retried
    return "kept" if local.last == str(run.id) else "anew"


def _raise_own(found: State[Any]) -> None:
    # A step that never ran because another failed has nothing of its own to say, and of a judgement
    # the story says more.
    if found.is_failed() or found.is_crashed():
        error = found.result(raise_on_failure=False)
        if isinstance(error, BaseException):
            raise error
