"""What a run has to tell, gathered while it is at work: its steps, its facts, its failure."""

import time
from contextlib import suppress
from typing import Any

from prefect.client.schemas.objects import FlowRun
from prefect.context import FlowRunContext
from prefect.futures import PrefectFuture, PrefectWrappedFuture
from prefect.utilities.urls import url_for

from isthmus.adapters import kubeconfigs
from isthmus.environment import Environment
from isthmus.events import Event
from isthmus.reporting import RunFacts, RunFailure, RunIdentity, RunReport, progress_line
from isthmus.timeline import StepRecorder
from isthmus.verification import VerificationFailed


class RunTracker:
    """What one run has to tell; a listener of its steps. Safe to call from any thread."""

    def __init__(self, environment: Environment, verb: str) -> None:
        self.environment = environment
        self._verb, self._start, run = verb, time.time(), current_flow_run()
        self._run = RunIdentity(run.name, run_url(run), deployed=run.deployment_id is not None)
        self._steps, self._facts = StepRecorder(), list[object]()
        self._futures: list[PrefectWrappedFuture[Any, Any]] = []
        self._failure: RunFailure | None = None

    def __call__(self, event: Event) -> None:
        """Take in what happened to a step."""
        self._steps(event)

    def track(self, future: PrefectFuture[Any]) -> None:
        """Count a step that was started, and learn what it returns, were it from a cache."""
        if isinstance(future, PrefectWrappedFuture):
            self._futures.append(future)

    def add_fact(self, fact: object) -> None:
        """Take in a fact that no step returned."""
        self._facts.append(fact)

    def record_failure(self, error: BaseException) -> None:
        """Take in what ended the run."""
        self._failure = RunFailure.of(error)
        if isinstance(error, VerificationFailed):
            self.add_fact(error.verification)

    def percent(self) -> float:
        """Return how much of the run is done, as far as its steps are known."""
        ended, total = self._counts()
        parts = sum(step.fraction or 0.0 for step in self._steps.running())
        return round(min(100.0, 100 * (ended + parts) / total)) if total else 0.0

    def line(self) -> str:
        """Return in a line how far the run is."""
        return progress_line(*self._counts(), self._steps.running())

    def report(self) -> RunReport:
        """Return the run, told from now."""
        known = RunFacts(self.environment)
        for fact in [*map(_result, list(self._futures)), *self._facts]:
            known.add_result(fact)
        for name, access in known.accesses.items():
            # The files of clusters that were taken down may be gone.
            with suppress(Exception):
                known.servers[name], _ = kubeconfigs.server(access)
        steps = tuple(self._steps.steps())
        return RunReport(
            self._verb, self._run, known, steps, self._start, time.time(), self._failure
        )

    def _counts(self) -> tuple[int, int]:
        futures = list(self._futures)
        return sum(map(_has_ended, futures)), len(futures)


def current_flow_run() -> FlowRun:
    """Return the flow run that calls; steps are told in none but a flow."""
    context = FlowRunContext.get()
    if context is None or context.flow_run is None:
        raise RuntimeError("a story runs as a Prefect flow")
    return context.flow_run


def run_url(run: FlowRun) -> str:
    """Return the address of the run's page, or nothing if none is known."""
    return url_for("flow-run", obj_id=run.id) or ""


def _has_ended(future: PrefectWrappedFuture[Any, Any]) -> bool:
    return bool(future.wrapped_future.done())


def _result(future: PrefectWrappedFuture[Any, Any]) -> object:
    """Return what a step returned, None if it has not ended or has nothing to say."""
    if not _has_ended(future):
        return None
    with suppress(Exception):
        return future.result(raise_on_failure=False)
    return None
