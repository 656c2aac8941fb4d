"""What prefect.yaml and automations.yaml may hold here: keys of Prefect's own files, and no others.

Prefect ignores a key that it does not know; these models refuse it.
"""

from datetime import UTC, datetime
from typing import Annotated, Any

from cronsim import CronSim, CronSimError
from prefect.client.schemas.schedules import CronSchedule
from pydantic import AfterValidator, Field, StringConstraints, ValidationError
from pydantic_core import PydanticCustomError

from isthmus.environment.formats import LABEL
from isthmus.environment.sections import Section

Slug = Annotated[str, StringConstraints(pattern=LABEL, max_length=63)]
Text = Annotated[str, StringConstraints(min_length=1, max_length=2000)]


def _cron(text: str) -> str:
    if len(text.split()) != 5 or not _is_schedule(cron=text):
        rule = "must be a cron expression of five fields, such as 30 2 * * *"
        raise PydanticCustomError("rule", rule)
    if not _has_next_run(text):
        rule = "must be a date that exists: the schedule would never run"
        raise PydanticCustomError("rule", rule)
    return text


def _has_next_run(text: str) -> bool:
    """Tell whether there is a next time, as Prefect's scheduler would look for it."""
    try:
        return bool(next(CronSim(text, datetime.now(UTC))))
    except (CronSimError, StopIteration):
        return False


def _timezone(name: str) -> str:
    if not _is_schedule(cron="0 0 * * *", timezone=name):
        rule = "must be a time zone's name, such as Asia/Shanghai or UTC"
        raise PydanticCustomError("rule", rule)
    return name


def _is_schedule(**keys: str) -> bool:
    try:
        CronSchedule.model_validate(keys)
    except ValidationError:
        return False
    return True


class Schedule(Section):
    """When a deployment runs by itself."""

    slug: Slug
    """By it the schedule is known again when the rest of it has changed."""
    cron: Annotated[str, AfterValidator(_cron)]
    timezone: Annotated[str, AfterValidator(_timezone)]
    active: bool | None = None
    """If left out, a new schedule is active, and one that somebody paused stays paused."""
    parameters: dict[str, Any] = Field(default={})


class WorkPool(Section):
    """Where a deployment's runs wait for a worker."""

    name: Slug
    work_queue_name: Slug | None = None
    job_variables: dict[str, Any] = Field(default={})


class Deployment(Section):
    """One way to run a flow."""

    name: Slug
    entrypoint: str
    """The flow, by its module: a path of a file would put that file's folder before the library."""
    description: Text | None = None
    tags: list[Text] = Field(default=[])
    parameters: dict[str, Any] = Field(default={})
    schedules: list[Schedule] = Field(default=[])
    work_pool: WorkPool


class DeploymentFile(Section):
    """The whole of prefect.yaml."""

    name: Slug
    """Whose deployments these are: those of other files are left alone."""
    prefect_version: str | None = Field(default=None, alias="prefect-version")
    pull: Annotated[list[Any], Field(max_length=0)]
    """Empty: runs import the installed package, from whatever folder the worker runs in."""
    deployments: list[Deployment]
    """May be empty: then `--prune` deletes the last of them."""


class AutomationSpec(Section):
    """One automation, with Prefect's own keys; its trigger and actions are Prefect's to check."""

    name: Text
    description: Text
    enabled: bool | None = None
    """If left out, a new one is enabled, and one that somebody switched off stays off."""
    trigger: dict[str, Any]
    actions: Annotated[list[dict[str, Any]], Field(min_length=1)]


class AutomationFile(Section):
    """The whole of automations.yaml."""

    automations: Annotated[list[AutomationSpec], Field(min_length=1)]
