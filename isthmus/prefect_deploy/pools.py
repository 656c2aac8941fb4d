"""What deployments need before they are there: a work pool, and one place for each environment."""

import json
from pathlib import Path
from typing import Any

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.actions import (
    GlobalConcurrencyLimitUpdate,
    WorkPoolCreate,
    WorkPoolUpdate,
)
from prefect.client.schemas.objects import WorkerStatus, WorkPool
from prefect.exceptions import ObjectNotFound
from prefect.workers.process import ProcessWorker

from flows.concurrency_limit import limit_name
from isthmus.adapters import prefect_record, prefect_server
from isthmus.adapters.prefect_settings import WORK_POOL
from isthmus.errors import BadEnvironment, Rejected
from isthmus.prefect_deploy.changes import Change, make_change

JobTemplate = dict[str, Any]
JobVariables = dict[str, Any]
KUBERNETES, PROCESS = "kubernetes", "process"
PROCESS_JOB_VARIABLES: JobVariables = {
    # Without the copy of a workspace that Prefect would begin with: 2 s from click to first step.
    "command": "python -m prefect.engine",
    # A run whose worker is gone would die of its next line on the worker's end of a pipe.
    "env": {"PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL"},
}
"""How a process worker starts our runs; logs go to the server."""


def read_template(path: Path | None) -> JobTemplate | None:
    """Return the job template that a file holds; raises BadEnvironment if it holds none."""
    if path is None:
        return None
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        pod = found["job_configuration"]["job_manifest"]["spec"]["template"]["spec"]
        if not (pod["containers"] and isinstance(found["variables"], dict)):
            raise KeyError("containers")
    except OSError as error:
        raise BadEnvironment(f"{path}: cannot be read: {error.strerror}") from None
    except (ValueError, KeyError, TypeError):
        rule = "must be JSON: job_configuration with the manifest of a Job, and variables"
        hint = "begin with deployments/kubernetes/base-job-template.json"
        raise BadEnvironment(f"{path}: {rule}", hint=hint) from None
    made: JobTemplate = found
    return made


def ensure_pool(client: SyncPrefectClient, name: str, template: JobTemplate | None) -> Change:
    """Make the work pool exist: with a job template for pods, else for processes.

    One that is there keeps its type, and all else if no template is given. Raises Rejected if a
    template is given and its runs are no pods.
    """
    try:
        found = client.read_work_pool(name)
    except ObjectNotFound:
        kind = KUBERNETES if template else PROCESS
        template = template or ProcessWorker.get_default_base_job_template()
        wanted = WorkPoolCreate(name=name, type=kind, base_job_template=template)
        made = client.create_work_pool(wanted)
        return make_change("work pool", name, made.id, [], True, _blocked_reason(client, made))
    if template and found.type != KUBERNETES:
        raise Rejected(
            f"work pool {name} is there already and of type {found.type}: it takes no job template",
            hint="name another pool: isthmus deploy --work-pool NAME",
        )
    changed = bool(template) and found.base_job_template != template
    if changed:
        client.update_work_pool(name, WorkPoolUpdate(base_job_template=template))
    keys = ["job template"] if changed else []
    return make_change(
        "work pool", name, found.id, keys, stands_still=_blocked_reason(client, found)
    )


def _blocked_reason(client: SyncPrefectClient, pool: WorkPool) -> str:
    """Return why no run of the pool begins as it is; nothing if runs do."""
    if pool.is_paused:
        return f"paused, no run starts; resume: prefect work-pool resume {pool.name}"
    for queue in client.read_work_queues(work_pool_name=pool.name):
        if queue.is_paused:
            go_on = f"prefect work-queue resume {queue.name} --pool {pool.name}"
            return f"its queue {queue.name} is paused, none of its runs starts; resume: {go_on}"
    if pool.name == WORK_POOL and prefect_record.is_own(client.api_url):
        # It is in the server's list a moment after its start only.
        polled, start = bool(prefect_server.worker(prefect_record.folder())), "isthmus server start"
    else:
        workers = client.read_workers_for_work_pool(pool.name)
        polled = any(worker.status == WorkerStatus.ONLINE for worker in workers)
        start = f"prefect worker start --pool {pool.name}"
    return "" if polled else f"no worker polls it, no run starts; start one: {start}"


def job_variables(client: SyncPrefectClient, pool: str, given: JobVariables) -> JobVariables:
    """Return a deployment's job variables in this pool: ours, and over them those of the file."""
    if client.read_work_pool(pool).type != PROCESS:
        return given
    environment = PROCESS_JOB_VARIABLES["env"] | given.get("env", {})
    return {**PROCESS_JOB_VARIABLES, **given, "env": environment}


def ensure_limit(client: SyncPrefectClient, environment: str) -> Change:
    """Make sure that one run at a time is at work on the environment."""
    name = limit_name(environment)
    try:
        found = client.read_global_concurrency_limit_by_name(name)
    except ObjectNotFound:
        client.upsert_global_concurrency_limit_by_name(name, 1)
        found = client.read_global_concurrency_limit_by_name(name)
        return make_change("limit", name, found.id, [], created=True)
    changed = [
        key for key, value in (("limit", 1), ("active", True)) if getattr(found, key) != value
    ]
    if changed:
        client.update_global_concurrency_limit(
            name, GlobalConcurrencyLimitUpdate(limit=1, active=True)
        )
    return make_change("limit", name, found.id, changed)
