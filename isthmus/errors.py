"""
Our exception tree. Retry intent and exit code are the exception's type.

* IsthmusError
  x TransientError          the same call may succeed later; not tried again once `timed_out`
    + ClusterUnreachable    69: the API server did not answer, or answered 429 or 5xx
    + NotReady              75: the object exists but is not yet as wanted
    + Busy                  75: another run holds the environment
  x PermanentError          a person must act
    + Rejected              1: the API server or a tool answered no
    + BadEnvironment        65: the environment file breaks a rule
    + Unprepared            69: this machine or a cluster lacks a right, a program or room
    + Findings              79: the mesh was looked at and is not what was asked for
    + Usage                 64: the command line makes no sense
    + Stopped               130: the run was asked to end while it was at work
"""

from collections.abc import Sequence
from typing import ClassVar


class IsthmusError(Exception):
    """Base of everything raised on purpose; prints as one message for a person.

    `cluster` and `step` say where, `hint` says what to type next. `causes` are the errors of which
    this one tells, if it tells of several.
    """

    exit_code: ClassVar[int] = 1

    def __init__(
        self, message: str, *, cluster: str | None = None, step: str | None = None, hint: str = ""
    ) -> None:
        super().__init__(message)
        self.message = message
        self.cluster = cluster
        self.step = step
        self.hint = hint
        self.causes: tuple[IsthmusError, ...] = ()
        self.timed_out = False
        """Whether the limit for it has run out: it is not tried again in this run."""

    def __str__(self) -> str:
        """Say where, what, and what to type next."""
        where = ": ".join(part for part in (self.cluster, self.step) if part)
        text = f"{where}: {self.message}" if where else self.message
        return f"{text}\n  -> {self.hint}" if self.hint else text

    def __reduce__(self) -> tuple[object, ...]:
        """Survive pickling whole."""
        # keyword-only arguments do not survive the default pickling, which Prefect does to failures
        fields = (self.message, self.cluster, self.step, self.hint, self.causes, self.timed_out)
        return (_rebuild, (type(self), *fields))


def _rebuild(
    kind: type[IsthmusError],
    message: str,
    cluster: str | None,
    step: str | None,
    hint: str,
    parts: tuple[IsthmusError, ...],
    timed_out: bool,
) -> IsthmusError:
    error = kind(message, cluster=cluster, step=step, hint=hint)
    error.causes, error.timed_out = parts, timed_out
    return error


class TransientError(IsthmusError):
    """The same call may succeed later, in this run unless its limit has run out (`timed_out`).

    `retry_after`: seconds that the server asked us to wait (RFC 9110, 10.2.3); 0 if it did not.
    """

    exit_code = 75
    retry_after: float = 0.0


class ClusterUnreachable(TransientError):
    """The API server did not answer, or answered 429 or 5xx."""

    exit_code = 69


class NotReady(TransientError):
    """What was waited for has not become as wanted in time."""


class Busy(TransientError):
    """Another run holds the environment."""


class PermanentError(IsthmusError):
    """The same call will fail again; a person must act."""


class Rejected(PermanentError):
    """An API server answered 4xx, or a tool refused."""


class BadEnvironment(PermanentError):
    """The environment file breaks a rule."""

    exit_code = 65


class Unprepared(PermanentError):
    """This machine, or a cluster, lacks a right, a program, a free port or room."""

    exit_code = 69


class Findings(PermanentError):
    """The mesh was looked at and is not what was asked for."""

    exit_code = 79


class Usage(PermanentError):
    """The command line makes no sense."""

    exit_code = 64


class Stopped(PermanentError):
    """The run was asked to end while it was at work."""

    exit_code = 130


def combine_errors(parts: Sequence[IsthmusError], message: str, hint: str) -> IsthmusError:
    """Return one error that lists all of several; a single one is returned as it is.

    Its type, and so its exit code: BadEnvironment if the file must be changed for one of them, else
    Unprepared if a person must act for one, else the first one's type: all may pass by themselves.
    """
    if len(parts) == 1:
        return parts[0]
    kind = next((k for k in (BadEnvironment, PermanentError) if _some(parts, k)), type(parts[0]))
    kind = Unprepared if kind is PermanentError else kind
    listed = "".join(f"\n- {_entry(part)}" for part in parts)
    error = kind(f"{message}{listed}", hint=hint)
    error.causes = tuple(parts)
    return error


def _some(parts: Sequence[IsthmusError], kind: type[IsthmusError]) -> bool:
    return any(isinstance(part, kind) for part in parts)


def _entry(part: IsthmusError) -> str:
    where = f"{part.cluster}: " if part.cluster else ""
    return f"{where}{part.message}" + (f"\n    {part.hint}" if part.hint else "")
