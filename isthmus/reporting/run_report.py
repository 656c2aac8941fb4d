"""What became of a run: what it was to do, which steps it took, and how it ended."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Self

from isthmus.errors import IsthmusError
from isthmus.reporting.run_facts import RunFacts
from isthmus.timeline import Step


@dataclass(frozen=True)
class RunFailure:
    """Why a run ended badly, in words for a person."""

    reason: str
    step: str = ""
    cluster: str = ""
    hint: str = ""
    """What to type next."""

    @classmethod
    def of(cls, error: BaseException) -> Self:
        """Return what an exception says."""
        if isinstance(error, IsthmusError):
            return cls(error.message, error.step or "", error.cluster or "", error.hint)
        if isinstance(error, Exception):
            return cls(f"{type(error).__name__}: {error}")
        return cls(f"terminated while it was running ({type(error).__name__})")


@dataclass(frozen=True)
class RunIdentity:
    """Which run it is, as its engine knows it."""

    name: str
    link: str
    """Where a person looks at it; empty if nobody knows."""
    deployed: bool
    """Whether it is a deployment's, and so can be retried where one looks at it."""


@dataclass(frozen=True)
class RunReport:
    """One run, told from its end; times are seconds since the epoch."""

    verb: str
    run: RunIdentity
    facts: RunFacts
    steps: tuple[Step, ...]
    start: float
    end: float
    failure: RunFailure | None = None

    @property
    def environment(self) -> str:
        """The environment's name."""
        return self.facts.environment.name

    @property
    def seconds(self) -> float:
        """How long it took."""
        return self.end - self.start

    @property
    def ended_at(self) -> str:
        """When it ended."""
        return datetime.fromtimestamp(self.end, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")

    @property
    def is_success(self) -> bool:
        """Whether nothing failed and nothing was found."""
        return not self.failure and not self.facts.findings

    @property
    def failed_steps(self) -> list[Step]:
        """The steps that failed, in order of start."""
        return [step for step in self.steps if step.outcome == "failed"]
