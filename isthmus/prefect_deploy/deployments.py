"""Deployments and their schedules: what the file says, compared with what the server has.

Prefect's own `deploy` always writes, never removes a schedule, and keeps what a key that is gone
had set; so the comparison is made here, and Prefect's client does the rest.
"""

from collections.abc import Iterator
from typing import Any
from uuid import UUID

from prefect import Flow
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.actions import DeploymentScheduleCreate, DeploymentUpdate
from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterTags
from prefect.client.schemas.objects import DeploymentSchedule
from prefect.client.schemas.responses import DeploymentResponse
from prefect.client.schemas.schedules import CronSchedule
from prefect.exceptions import ObjectNotFound
from prefect.utilities.callables import parameter_schema

import isthmus
from isthmus.environment import form
from isthmus.errors import Rejected
from isthmus.prefect_deploy import pools
from isthmus.prefect_deploy.changes import Change, make_change
from isthmus.prefect_deploy.loader import PlannedDeployment
from isthmus.prefect_deploy.schema import Schedule

ISTHMUS_TAG = "isthmus"
"""The tag of every run of ours, by which automations know it."""
PAGE = 200


def owner_tag(owner: str) -> str:
    """Return the tag that says which file a deployment is from."""
    return f"file:{owner}"


def ensure(
    client: SyncPrefectClient, planned: PlannedDeployment, owner: str, pool: str
) -> Iterator[Change]:
    """Make the deployment as planned, with its schedules.

    Raises Rejected if it is there and from another file.
    """
    variables = pools.job_variables(client, pool, planned.spec.work_pool.job_variables)
    wanted = {**_wanted(planned, owner, pool), "job_variables": variables}
    try:
        found = client.read_deployment_by_name(planned.name)
    except ObjectNotFound:
        flow = client.create_flow_from_name(planned.flow.name)
        identity = client.create_deployment(flow, planned.spec.name, **wanted)
        yield make_change("deployment", planned.name, identity, [], created=True)
    else:
        identity = found.id
        yield _update(client, found, wanted, planned.name, owner)
    yield from _schedules(client, identity, planned)


def find_removed(client: SyncPrefectClient, owner: str, names: set[str]) -> list[tuple[str, UUID]]:
    """Return the deployments that are from this file and not in it any more."""
    filters = DeploymentFilter(tags=DeploymentFilterTags(all_=[owner_tag(owner)]))
    found = client.read_deployments(deployment_filter=filters, limit=PAGE)
    flows = {d.flow_id: client.read_flow(d.flow_id).name for d in found}
    named = [(f"{flows[d.flow_id]}/{d.name}", d.id) for d in found]
    return [(name, identity) for name, identity in named if name not in names]


def _wanted(planned: PlannedDeployment, owner: str, pool: str) -> dict[str, Any]:
    spec = planned.spec
    return {
        "version": isthmus.__version__,
        "description": spec.description or planned.flow.description,
        "tags": sorted({*spec.tags, ISTHMUS_TAG, owner_tag(owner)}),
        "entrypoint": spec.entrypoint,
        "parameters": planned.parameters,
        "parameter_openapi_schema": run_form_schema(planned.flow),
        "enforce_parameter_schema": True,
        "work_pool_name": pool,
        "work_queue_name": spec.work_pool.work_queue_name or "default",
        "pull_steps": [],
    }


def run_form_schema(flow: Flow[..., Any]) -> dict[str, Any]:
    """Return the schema that the run form is made from, and that runs' parameters must obey."""
    made = parameter_schema(flow).model_dump(mode="json", exclude_unset=True)
    for name, field in made["properties"].items():
        field["title"] = name.replace("_", " ").capitalize()
    form.simplify_schema(made)
    return made


def _update(
    client: SyncPrefectClient,
    found: DeploymentResponse,
    wanted: dict[str, Any],
    name: str,
    owner: str,
) -> Change:
    if owner_tag(owner) not in found.tags:
        theirs = [tag for tag in found.tags if tag.startswith(owner_tag(""))]
        whose = (
            f"from the file called {theirs[0].removeprefix(owner_tag(''))}"
            if theirs
            else "no file's"
        )
        raise Rejected(
            f"deployment {name} is there already and is {whose}; it is left as it is",
            hint="give yours another name, or delete that one: prefect deployment delete " + name,
        )
    changed = [key for key, value in wanted.items() if _differs(getattr(found, key), value)]
    if changed:
        # The server knows a work queue by its pool's name only.
        keys = {*changed, "work_pool_name", "work_queue_name"}
        update = DeploymentUpdate.model_validate({key: wanted[key] for key in keys})
        client.update_deployment(found.id, update)
    go_on = "paused, none of its schedules runs; resume it in the UI"
    return make_change(
        "deployment", name, found.id, changed, stands_still=go_on if found.paused else ""
    )


def _differs(found: Any, wanted: Any) -> bool:
    if isinstance(found, list) and all(isinstance(item, str) for item in found):
        return sorted(found) != sorted(wanted)
    return bool((found or None) != (wanted or None))


def _schedules(
    client: SyncPrefectClient, identity: UUID, planned: PlannedDeployment
) -> Iterator[Change]:
    there = {s.slug: s for s in client.read_deployment_schedules(identity)}
    for spec, parameters in planned.schedules:
        name = f"{planned.name} {spec.slug}"
        if found := there.pop(spec.slug, None):
            yield _reschedule(client, identity, found, spec, parameters, name)
        else:
            yield _schedule(client, identity, spec, parameters, name)
    for slug, gone in there.items():
        if slug is None:
            yield Change("schedule", planned.name, "left", "made by hand", str(gone.id))
        else:
            client.delete_deployment_schedule(identity, gone.id)
            yield Change("schedule", f"{planned.name} {slug}", "removed", "", str(gone.id))


def _schedule(
    client: SyncPrefectClient,
    identity: UUID,
    spec: Schedule,
    parameters: dict[str, Any],
    name: str,
) -> Change:
    wanted = DeploymentScheduleCreate(
        schedule=_cron(spec),
        active=spec.active is not False,
        parameters=parameters,
        slug=spec.slug,
    )
    [made] = client.create_deployment_schedules(identity, [wanted])
    return make_change("schedule", name, made.id, [], created=True)


def _reschedule(
    client: SyncPrefectClient,
    identity: UUID,
    found: DeploymentSchedule,
    spec: Schedule,
    parameters: dict[str, Any],
    name: str,
) -> Change:
    pairs = {
        "schedule": (found.schedule, _cron(spec)),
        "parameters": (found.parameters, parameters),
    }
    changed: dict[str, Any] = {key: new for key, (old, new) in pairs.items() if old != new}
    if spec.active is not None and spec.active != found.active:
        changed["active"] = spec.active
    if changed:
        client.update_deployment_schedule(identity, found.id, **changed)
    rests = not changed.get("active", found.active) and spec.active is None
    resume = f"prefect deployment schedule resume {name.rpartition(' ')[0]} {found.id}"
    go_on = f"paused by somebody, it does not run; resume: {resume}"
    return make_change(
        "schedule", name, found.id, list(changed), stands_still=go_on if rests else ""
    )


def _cron(spec: Schedule) -> CronSchedule:
    return CronSchedule(cron=spec.cron, timezone=spec.timezone)
