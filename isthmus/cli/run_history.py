"""The last runs of an environment, kept so that one can see where their time went."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from isthmus import state
from isthmus.timeline import Step, critical_path

MAX_RUNS = 20
"""Runs that are kept for each environment."""


@dataclass(frozen=True)
class RunRecord:
    """One finished run. Times are seconds since the epoch."""

    environment: str
    verb: str
    start: float
    end: float
    outcome: str
    """`done`, or what ended it: the first line of the error."""
    steps: tuple[Step, ...]

    def document(self) -> dict[str, Any]:
        """Return it as JSON has it, with the names of the steps on the critical path."""
        return {**asdict(self), "criticalPath": [s.step for s in critical_path(self.steps)]}


def write(run: RunRecord) -> None:
    """Keep the run, and of the older ones the latest; nothing if the environment is gone."""
    if state.folder(run.environment).is_dir():
        moment = datetime.fromtimestamp(run.start, UTC).strftime("%Y%m%dT%H%M%S.%fZ")
        path = _folder(run.environment) / f"{moment}.json"
        state.write_private(path, json.dumps(run.document(), indent=2, sort_keys=True))
        for old in _files(run.environment)[:-MAX_RUNS]:
            old.unlink(missing_ok=True)


def last(environment: str) -> RunRecord | None:
    """Return the latest run that is recorded and can be read."""
    runs = (read(path) for path in reversed(_files(environment)))
    return next((run for run in runs if run), None)


def read(path: Path) -> RunRecord | None:
    """Return a run as it was recorded, None if the file is of another version, or damaged."""
    try:
        found = json.loads(path.read_text())
        found.pop("criticalPath")
        return RunRecord(**{**found, "steps": _steps(found["steps"])})
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None  # of another version, or damaged: it only saved time


def _steps(found: Sequence[dict[str, Any]]) -> tuple[Step, ...]:
    return tuple(Step(**{**step, "after": tuple(step["after"])}) for step in found)


def _files(environment: str) -> list[Path]:
    return sorted(_folder(environment).glob("*.json"))


def _folder(environment: str) -> Path:
    return state.folder(environment) / "runs"
