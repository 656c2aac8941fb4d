"""What pydantic found, in words for the person who wrote the file; pure."""

from collections.abc import Callable
from difflib import get_close_matches
from typing import Any, get_args

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from isthmus.environment.formats import RULES
from isthmus.environment.models import Environment

NAMES = ("name", "network")
"""Keys whose values stay words even when quoted."""


def rule(error: ErrorDetails, model: type[BaseModel] = Environment) -> str:
    """Return the rule that was broken, and what to do where that is not the same."""
    if error["type"] == "extra_forbidden":
        return _unknown(error, model)
    if model is not Environment and error["type"] in OTHER_FILES_RULES:
        return OTHER_FILES_RULES[error["type"]]
    words = RULES_BY_TYPE.get(error["type"])
    return words(error) if words else error["msg"]


def _unknown(error: ErrorDetails, model: type[BaseModel]) -> str:
    *around, key = error["loc"]
    known = _keys(around, model)
    close = get_close_matches(str(key)[:60], known, n=1)
    meant = f"did you mean {close[0]}?" if close else f"known here: {', '.join(known)}"
    return f"is an unknown key; {meant}"


def _keys(loc: list[int | str], model: Any) -> list[str]:
    """Return the keys that the mapping at a place may have."""
    for part in loc:
        if isinstance(part, str):
            annotation = model.model_fields[part].annotation
            model = next(iter(get_args(annotation)), annotation)
    assert issubclass(model, BaseModel)
    return [field.alias or name for name, field in model.model_fields.items()]


def _no_text(error: ErrorDetails) -> str:
    kinds: dict[type, str] = {bool: "a yes or no", int: "a number", float: "a number"}
    value, key = error["input"], error["loc"][-1]
    if value is None:
        return "must be text, and is empty"
    if type(value) not in kinds:
        return "must be text"
    advice = "choose another word" if key in NAMES else "put it in quotes"
    return f"must be text, and YAML reads this as {kinds[type(value)]}: {advice}"


def _no_choice(error: ErrorDetails) -> str:
    return f"must be {error['ctx']['expected']}"


def _no_mapping(error: ErrorDetails) -> str:
    if error["loc"] == ("host",) and isinstance(error["input"], list):
        return "must be one cluster: there is one host, the others are remotes"
    if {"host", "remotes"} & set(error["loc"][:1]):
        return "must be a mapping such as {name: beijing}"
    return "must be a mapping (a key with nothing below it is better left out)"


def _of_kind(error: ErrorDetails, of_clusters: str) -> str:
    is_archive = "archives" in error["loc"]
    return "must be a path, or a list of at least one" if is_archive else of_clusters


RULES_BY_TYPE: dict[str, Callable[[ErrorDetails], str]] = {
    "missing": lambda error: "is required",
    "string_type": _no_text,
    "string_pattern_mismatch": lambda error: RULES[error["ctx"]["pattern"]],
    "string_too_long": lambda error: f"must have at most {error['ctx']['max_length']} characters",
    "int_type": lambda error: "must be a whole number, not in quotes",
    "float_type": lambda error: "must be a number, not in quotes",
    "greater_than": lambda error: f"must be more than {error['ctx']['gt']:g}",
    "greater_than_equal": lambda error: f"must be at least {error['ctx']['ge']:g}",
    "less_than_equal": lambda error: f"must be at most {error['ctx']['le']:g}",
    "literal_error": _no_choice,
    "model_type": _no_mapping,
    "dict_type": _no_mapping,
    "list_type": lambda error: _of_kind(
        error, "must be a list, even of one cluster: [{name: shanghai}]"
    ),
    "too_short": lambda error: _of_kind(error, "must have at least one cluster"),
    "path_type": lambda error: _of_kind(error, "must be the path of a kubeconfig file"),
}

OTHER_FILES_RULES = {
    "too_short": "must have at least one entry",
    "too_long": "must be an empty list",
    "list_type": "must be a list",
    "dict_type": "must be a mapping",
    "model_type": "must be a mapping",
    "bool_type": "must be true or false",
    "string_too_short": "must not be empty",
}
"""Rules of other files than an environment's, where they need other words."""
