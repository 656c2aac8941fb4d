"""What is wrong with a file, and how a person is told: `FILE:LINE: KEY: RULE (got VALUE)`."""

import re
from dataclasses import dataclass
from pathlib import Path

from isthmus.errors import BadEnvironment

Where = tuple[str | int, ...]

MAX_VALUE_CHARS = 60
"""Characters of a value that a message repeats: enough to find it, too few for a secret's whole."""
MAX_PROBLEMS = 20
"""Problems that one message lists; what follows is mostly the same mistake again."""


@dataclass(frozen=True)
class Problem:
    """One rule that the file breaks; `line` is None if the file could not be read at all."""

    line: int | None
    where: Where
    rule: str
    got: str = ""


class UnreadableFile(Exception):
    """The file holds no data that rules could be asked of; internal to this package."""

    def __init__(self, line: int | None, where: Where, rule: str, got: str = "") -> None:
        super().__init__(rule)
        self.problem = Problem(line, where, rule, got)


def file_error(
    path: Path, problems: list[Problem], again: str = "isthmus validate"
) -> BadEnvironment:
    """Return the one error that names every problem, in the order of the file's lines.

    `again` is the command that looks at the file once more.
    """
    ordered = sorted(problems, key=lambda problem: problem.line or 0)
    lines = [_line(path, problem) for problem in ordered[:MAX_PROBLEMS]]
    if len(ordered) > MAX_PROBLEMS:
        lines.append(f"... and {len(ordered) - MAX_PROBLEMS} more")
    return BadEnvironment("\n".join(lines), hint=_next(path, ordered[0], again))


def printable(text: str) -> str:
    """Return text fit for one line of a terminal: capped, and nothing in it moves the cursor."""
    capped = text if len(text) <= MAX_VALUE_CHARS else f"{text[:MAX_VALUE_CHARS]}..."
    return "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in capped)


def _next(path: Path, first: Problem, again: str) -> str:
    if first.line is None and again == "isthmus deploy":
        return "give the path of a file such as deployments/prefect.yaml: isthmus deploy FILE"
    if first.line is None:
        return "give the path of an environment file, or write a first one: isthmus init"
    return f"correct it, then check again: {again} {path}"


def _line(path: Path, problem: Problem) -> str:
    place = f"{path}:{problem.line}" if problem.line else str(path)
    got = f" (got {problem.got})" if problem.got else ""
    return f"{place}: {_key(problem.where)}: {problem.rule}{got}"


def _key(where: Where) -> str:
    """Write a place as people do: `remotes[0].name`; the whole file is `file`."""
    parts = [f"[{part}]" if isinstance(part, int) else f".{printable(part)}" for part in where]
    return re.sub(r"^\.", "", "".join(parts)) or "file"
