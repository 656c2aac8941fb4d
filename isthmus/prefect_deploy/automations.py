"""Automations: data beside prefect.yaml, of which the server shall hold each exactly once."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from prefect.client.orchestration import SyncPrefectClient
from prefect.events.schemas.automations import Automation, AutomationCore
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from isthmus.environment.diagnostics import Problem, Where
from isthmus.environment.loading import problem_of
from isthmus.environment.source import Document
from isthmus.errors import Rejected
from isthmus.prefect_deploy.changes import Change, make_change
from isthmus.prefect_deploy.deployments import ISTHMUS_TAG
from isthmus.prefect_deploy.loader import parse, refused
from isthmus.prefect_deploy.schema import AutomationFile, AutomationSpec

AUTOMATIONS_FILE = "automations.yaml"
CALL = "call-webhook"


def read(path: Path) -> list[AutomationSpec]:
    """Return the automations that a file asks for; none if there is no file.

    Raises BadEnvironment with file, line, key and rule.
    """
    if not path.exists():
        return []
    document, file = parse(path, AutomationFile)
    problems = [p for i, spec in enumerate(file.automations) for p in _problems(document, spec, i)]
    if problems:
        raise refused(path, problems)
    return file.automations


def ensure(
    client: SyncPrefectClient, specs: list[AutomationSpec], webhook: UUID | None
) -> Iterator[Change]:
    """Make each automation as the file says; those that call a webhook only if there is one.

    Raises Rejected if one of that name is there and not ours.
    """
    for spec in specs:
        if _calls(spec) and webhook is None:
            yield Change("automation", spec.name, "absent", "there is no webhook for it to call")
        else:
            yield _ensure(client, spec, webhook)


def _ensure(client: SyncPrefectClient, spec: AutomationSpec, webhook: UUID | None) -> Change:
    wanted = _core(spec, webhook)
    there = sorted(client.read_automations_by_name(spec.name), key=lambda found: str(found.id))
    if not there:
        identity = client.create_automation(wanted)
        return make_change("automation", spec.name, identity, [], created=True)
    found = there[0]
    if ISTHMUS_TAG not in found.tags:
        delete = f"prefect automation delete {found.id}"
        raise Rejected(
            f"automation {spec.name} is there without the tag {ISTHMUS_TAG}; it is left as it is",
            hint=f"give yours another name, or delete that one: {delete}",
        )
    changed = _changed(found, wanted, spec)
    if changed:
        enabled = found.enabled if spec.enabled is None else spec.enabled
        client.update_automation(found.id, wanted.model_copy(update={"enabled": enabled}))
    return make_change("automation", spec.name, found.id, changed)


def _changed(found: Automation, wanted: AutomationCore, spec: AutomationSpec) -> list[str]:
    keys = {"description", "tags", "trigger", "actions"} | (
        {"enabled"} if spec.enabled is not None else set()
    )
    old, new = (core.model_dump(include=keys) for core in (found, wanted))
    return sorted(key for key in keys if old[key] != new[key])


def _core(spec: AutomationSpec, webhook: UUID | None) -> AutomationCore:
    data = spec.model_dump(exclude_none=True)
    for action in data["actions"]:
        if action.get("type") == CALL:
            action["block_document_id"] = str(webhook)
    return AutomationCore.model_validate({"enabled": True, **data, "tags": [ISTHMUS_TAG]})


def _calls(spec: AutomationSpec) -> bool:
    return any(action.get("type") == CALL for action in spec.actions)


def _problems(document: Document, spec: AutomationSpec, index: int) -> Iterator[Problem]:
    where: Where = ("automations", index)
    data = spec.model_dump(exclude_none=True)
    try:
        made = _core(spec, uuid4())
    except ValidationError as error:
        for found in error.errors(include_url=False):
            yield problem_of(document, _in_file(found, data), where, AutomationFile)
        return
    dumped = made.model_dump(mode="json")
    for key in ("trigger", "actions"):
        for place in _ignored_keys(getattr(spec, key), dumped[key], (*where, key)):
            yield Problem(document.line(place), place, "is an unknown key; Prefect would ignore it")


def _in_file(error: ErrorDetails, data: Any) -> ErrorDetails:
    """Return Prefect's complaint at its place in the file, without the variants that it tried."""
    where: list[int | str] = []
    for part in error["loc"]:
        if _has(data, part):
            where.append(part)
            data = data[part]
    return {**error, "loc": tuple(where)}


def _has(data: Any, part: int | str) -> bool:
    return part in (range(len(data)) if isinstance(data, list) else data or ())


def _ignored_keys(given: Any, kept: Any, where: Where) -> Iterator[Where]:
    """Yield each place of a key that is not in what Prefect made of the data."""
    if isinstance(given, dict) and isinstance(kept, dict):
        for key, value in given.items():
            if key not in kept:
                yield (*where, key)
            else:
                yield from _ignored_keys(value, kept[key], (*where, key))
    elif isinstance(given, list) and isinstance(kept, list) and where[-1:] == ("actions",):
        for index, (one, other) in enumerate(zip(given, kept, strict=False)):
            yield from _ignored_keys(one, other, (*where, index))
