"""One run at a time for each environment on this machine, and who it is that has its turn.

The lock is the kernel's and ends with its process; beside it lies a record of who holds it, so that
others can say whom they wait for, and so that what a dead run held elsewhere can be given back.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from filelock import FileLock, Timeout

from isthmus import state
from isthmus.errors import Busy

LockRecord = dict[str, str]
"""Names only: `who`, as a person is told; `run` and `lease`, identities on a Prefect server."""


@dataclass
class EnvironmentLock:
    """An environment held by this process."""

    path: Path
    stale_record: LockRecord
    """The record of a run that died while it had its turn; empty if there is none."""
    record: LockRecord = field(default_factory=dict)

    @property
    def last_run_id(self) -> str:
        """Identity of the run that last changed the environment from this machine, or nothing."""
        try:
            return self._last_run_path.read_text()
        except OSError:
            return ""

    def set_last_run(self, run: str) -> None:
        """Make this run the one that last changed the environment."""
        state.write_private(self._last_run_path, run)

    @property
    def _last_run_path(self) -> Path:
        return self.path.with_suffix(".last")

    def update_record(self, **facts: str) -> None:
        """Add to what others read of this run, and what is found after it if it dies."""
        self.record |= facts
        state.write_private(self.path, json.dumps(self.record))


@contextmanager
def acquire(environment: str) -> Iterator[EnvironmentLock]:
    """Hold the environment for this process; the lock ends with the process, however that ends.

    Raises Busy, naming whoever holds it.
    """
    locks = state.home() / "locks"
    locks.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = locks / f"{environment}.json"
    lock = FileLock(locks / f"{environment}.lock", timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise Busy(
            f"{environment} is in use by {_read(path).get('who', 'another run')}",
            hint=f"wait for it, or look: isthmus status {environment}",
        ) from None
    turn = EnvironmentLock(path, _read(path))
    try:
        yield turn
    finally:
        # Whoever noted nothing has not dealt with what it found either.
        if turn.record:
            path.unlink(missing_ok=True)
        lock.release()


def _read(path: Path) -> LockRecord:
    """Return a record, or nothing for one that is damaged: it only saves time."""
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    whole = isinstance(found, dict) and all(isinstance(v, str) for v in found.values())
    return found if whole else {}
