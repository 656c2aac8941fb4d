"""Runs as pods: what Prefect's worker makes of the job template, and what a pool takes."""

import json
from pathlib import Path

import pytest
import yaml
from deployed import deployed, done, one, put

from isthmus.errors import Rejected

FOLDER = Path(__file__).parents[2] / "deployments/kubernetes"
TEMPLATE = FOLDER / "base-job-template.json"
WORKER = FOLDER / "worker.yaml"
SECRET = "isthmus:canary-of-the-auth-string"


def worker() -> dict:
    """Return the container of the worker."""
    manifests = yaml.safe_load_all(WORKER.read_text())
    [deployment] = [m for m in manifests if m["kind"] == "Deployment"]
    [container] = deployment["spec"]["template"]["spec"]["containers"]
    return container


def configuration(**variables):
    """Return what Prefect's worker makes of the template for a run."""
    from prefect.utilities.asyncutils import run_coro_as_sync
    from prefect_kubernetes.worker import KubernetesWorkerJobConfiguration as Configuration

    template = json.loads(TEMPLATE.read_text())
    return run_coro_as_sync(Configuration.from_template_and_values(template, variables))


def test_prefects_worker_makes_a_job_of_the_template_and_fills_everything_in(prefect):
    made = configuration(image="elsewhere:1", env={"A": "1"}, name="night")
    made._populate_env_in_manifest()
    text = json.dumps(made.job_manifest)
    assert "{{" not in text
    [container] = made.job_manifest["spec"]["template"]["spec"]["containers"]
    assert container["image"] == "elsewhere:1"
    assert container["env"] == [{"name": "A", "value": "1"}]
    assert container["resources"]["limits"] == {"memory": "1Gi"}
    assert made.job_manifest["spec"]["ttlSecondsAfterFinished"] == 3600


def test_the_worker_puts_the_secrets_name_in_a_job_and_not_what_is_in_it(prefect):
    from prefect.utilities.asyncutils import run_coro_as_sync
    from prefect_kubernetes.worker import KubernetesWorker

    container = worker()
    variables = {e["name"]: e.get("value") for e in container["env"]}
    prefix = "PREFECT_INTEGRATIONS_KUBERNETES_WORKER_API_AUTH_STRING_SECRET"
    where = {"secret_name": variables[f"{prefix}_NAME"], "secret_key": variables[f"{prefix}_KEY"]}
    made = configuration(env={"PREFECT_API_AUTH_STRING": SECRET})
    made._populate_env_in_manifest()
    replace = KubernetesWorker._replace_env_variable_with_secret
    run_coro_as_sync(replace(None, "PREFECT_API_AUTH_STRING", made, **where))
    assert SECRET not in json.dumps(made.job_manifest)
    [reference] = made.job_manifest["spec"]["template"]["spec"]["containers"][0]["env"]
    [own_reference] = [e for e in container["env"] if e["name"] == reference["name"]]
    assert reference == own_reference


def test_deployed_with_a_job_template_runs_are_pods_and_a_change_of_it_is_taken_over(
    prefect, tmp_path
):
    from prefect import get_client

    path = put(tmp_path, one("pods", "pods"))
    order = {"work_pool": "pods-pool", "job_template": TEMPLATE}
    assert done(deployed(path, **order), "work pool") == {"pods-pool": "created"}
    assert done(deployed(path, **order), "work pool") == {"pods-pool": "unchanged"}
    changed = tmp_path / "changed.json"
    changed.write_text(TEMPLATE.read_text().replace("isthmus:0.1.0", "elsewhere:1"))
    again = deployed(path, **{**order, "job_template": changed})
    start = "no worker polls it, no run starts; start one: prefect worker start --pool pods-pool"
    assert again["work pool", "pods-pool"].text == f"job template; {start}"
    with get_client(sync_client=True) as client:
        found = client.read_work_pool("pods-pool")
    assert found.type == "kubernetes"
    properties = found.base_job_template["variables"]["properties"]
    assert properties["image"]["default"] == "elsewhere:1"


def test_a_pool_of_processes_takes_no_job_template(prefect, tmp_path):
    path = put(tmp_path, one("processes", "processes"))
    deployed(path, work_pool="processes-pool")
    with pytest.raises(Rejected, match="of type process: it takes no job template"):
        deployed(path, work_pool="processes-pool", job_template=TEMPLATE)
