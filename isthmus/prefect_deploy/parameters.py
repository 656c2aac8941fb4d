"""Parameters, asked of the flow that gets them: Prefect itself asks when a scheduled run begins."""

import inspect
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from prefect import Flow
from pydantic import TypeAdapter, ValidationError

from isthmus.environment import Environment, load, pair
from isthmus.environment.diagnostics import Problem, Where, printable
from isthmus.environment.loading import problem_of
from isthmus.environment.source import Document


@dataclass
class CheckedParameters:
    """What a flow says to parameters: values as runs get them, and the rules that are broken."""

    values: dict[str, Any] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)


def check_parameters(
    flow: Flow[..., Any], given: dict[str, Any], document: Document, where: Where, folder: Path
) -> CheckedParameters:
    """Return what the flow says to the parameters that stand at a place of the file.

    An environment may be a mapping, or the path of an environment file, from `folder`; raises
    BadEnvironment if that file breaks a rule.
    """
    asked, known = CheckedParameters(), inspect.signature(flow.fn, eval_str=True).parameters
    for name, value in given.items():
        place = (*where, name)
        if name not in known:
            asked.problems.append(_unknown(flow, name, list(known), document.line(place), place))
            continue
        adapter: TypeAdapter[Any] = TypeAdapter(known[name].annotation)
        try:
            model = _value(adapter, value, known[name].annotation, folder)
        except ValidationError as error:
            asked.problems += [problem_of(document, e, place) for e in error.errors()]
            continue
        asked.values[name] = adapter.dump_python(model, mode="json", exclude_unset=True)
    return asked


def environments(values: dict[str, Any]) -> set[str]:
    """Return the names of the environments that a run with these values is about.

    Raises BadEnvironment with the rule if the values make none together.
    """
    if "environment" in values:
        return {values["environment"]["name"]}
    if {"host_region", "remote_region"} <= values.keys():
        return {pair(**{key: value for key, value in values.items() if key != "if_busy"}).name}
    return set()


def missing(flow: Flow[..., Any], given: set[str]) -> list[str]:
    """Return the parameters that the flow needs and nobody gives."""
    known = inspect.signature(flow.fn).parameters.values()
    return [p.name for p in known if p.default is p.empty and p.name not in given]


def _value(adapter: TypeAdapter[Any], value: Any, annotation: Any, folder: Path) -> Any:
    if annotation is Environment and isinstance(value, str):
        return load(folder / Path(value).expanduser())
    return adapter.validate_python(value, context={"folder": folder})


def _unknown(flow: Flow[..., Any], name: str, known: list[str], line: int, where: Where) -> Problem:
    close = get_close_matches(printable(name), known, n=1)
    meant = f"did you mean {close[0]}?" if close else f"it has: {', '.join(known)}"
    return Problem(line, where, f"is no parameter of flow {flow.name}; {meant}")
