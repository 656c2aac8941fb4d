"""From a file to an Environment, or to one error that names everything wrong with the file."""

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from isthmus.environment import source
from isthmus.environment.diagnostics import Problem, UnreadableFile, Where, file_error, printable
from isthmus.environment.messages import rule
from isthmus.environment.models import Environment

VALUE_HIDDEN_TYPES = ("missing", "extra_forbidden")
"""Problems that are not about the value, which may be a secret in the wrong place."""


def load(path: Path) -> Environment:
    """Return the environment that the file describes; nothing is touched.

    Paths in it count from the file's folder. Raises BadEnvironment with file, line, key and rule.
    """
    try:
        document = source.read(path)
        return Environment.model_validate(document.data, context={"folder": path.absolute().parent})
    except UnreadableFile as error:
        raise file_error(path, [error.problem]) from None
    except ValidationError as error:
        problems = [problem_of(document, e) for e in error.errors(include_url=False)]
        raise file_error(path, problems) from None


def problem_of(
    document: source.Document,
    error: ErrorDetails,
    under: Where = (),
    model: type[BaseModel] = Environment,
) -> Problem:
    """Return what pydantic found in data that stands `under` a place of a document, in words."""
    where = (*under, *error["loc"])
    got = (
        ""
        if error["type"] in VALUE_HIDDEN_TYPES
        else _got(error["input"], document.written.get(where))
    )
    return Problem(document.line(where), where, rule(error, model), got)


def _got(value: Any, spelled: str | None) -> str:
    """Return the value as the file spells it; of what holds several values only the kind."""
    if isinstance(value, list | dict):
        return "a list" if isinstance(value, list) else "a mapping"
    if isinstance(value, str):
        return f"'{printable(value)}'"
    return printable(spelled or ("nothing" if value is None else str(value)))
