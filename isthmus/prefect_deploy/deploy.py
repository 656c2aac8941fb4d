"""The order of deploying: all is read and checked, then pool, limits, deployments, automations."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from prefect import get_client
from prefect.client.orchestration import SyncPrefectClient

from isthmus.prefect_deploy import automations, deployments, loader, pools, webhook
from isthmus.prefect_deploy.changes import Change
from isthmus.prefect_deploy.loader import DeploymentPlan
from isthmus.prefect_deploy.schema import AutomationSpec


@dataclass(frozen=True)
class DeployRequest:
    """What a person asked for."""

    file: Path
    webhook_file: str | None = None
    """A file, or `-` for standard input."""
    work_pool: str | None = None
    """Instead of the pools that the file names."""
    job_template: Path | None = None
    """Of pools whose runs are pods."""
    prune: bool = False
    """Whether deployments that left the file are deleted."""


def deploy(order: DeployRequest) -> Iterator[Change]:
    """Make the server hold what the file asks for, once; yield what was done to each thing.

    Raises BadEnvironment or Usage before anything is written if a file breaks a rule, Rejected if
    something of that name belongs to others.
    """
    plan, template = loader.read(order.file), pools.read_template(order.job_template)
    specs = automations.read(order.file.parent / automations.AUTOMATIONS_FILE)
    hook = webhook.read(order.webhook_file)
    with get_client(sync_client=True) as client:
        yield from _deployments(client, plan, order, template)
        yield from _automations(client, specs, hook)


def _deployments(
    client: SyncPrefectClient,
    plan: DeploymentPlan,
    order: DeployRequest,
    template: pools.JobTemplate | None,
) -> Iterator[Change]:
    wanted = [(d, order.work_pool or d.spec.work_pool.name) for d in plan.deployments]
    for pool in sorted({pool for _, pool in wanted}):
        yield pools.ensure_pool(client, pool, template)
    for environment in sorted(plan.environments):
        yield pools.ensure_limit(client, environment)
    for planned, pool in wanted:
        yield from deployments.ensure(client, planned, plan.owner, pool)
    for name, identity in deployments.find_removed(client, plan.owner, {d.name for d, _ in wanted}):
        if order.prune:
            client.delete_deployment(identity)
            yield Change("deployment", name, "removed", identity=str(identity))
        else:
            why = f"is no longer in the file; delete it: isthmus deploy {order.file} --prune"
            yield Change("deployment", name, "left", why, str(identity))


def _automations(
    client: SyncPrefectClient, specs: list[AutomationSpec], hook: webhook.WebhookAddress | None
) -> Iterator[Change]:
    identity, change = webhook.ensure(client, hook)
    if change:
        yield change
    yield from automations.ensure(client, specs, identity)
