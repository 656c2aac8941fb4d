"""What runs as pods are given: the job template and the worker's manifests, and how they fit."""

import json
from pathlib import Path

import pytest
import yaml
from deployed import deployed, done, one, put

from isthmus.deploying import pools
from isthmus.errors import BadEnvironment, Rejected
from isthmus.providers.lab.images import own

FOLDER = Path(__file__).parents[2] / "deployments/kubernetes"
TEMPLATE = FOLDER / "base-job-template.json"
WORKER = list(yaml.safe_load_all((FOLDER / "worker.yaml").read_text()))
SECRET = "isthmus:canary-of-the-auth-string"


def kind(name: str) -> list[dict]:
    return [manifest for manifest in WORKER if manifest["kind"] == name]


def pods() -> list[dict]:
    """Return the pod of the worker, and that of a run as the template has it."""
    template = json.loads(TEMPLATE.read_text())
    [worker] = kind("Deployment")
    job = template["job_configuration"]["job_manifest"]
    return [worker["spec"]["template"]["spec"], job["spec"]["template"]["spec"]]


def configuration(**variables):
    """Return what Prefect's worker makes of the template for a run."""
    from prefect.utilities.asyncutils import run_coro_as_sync
    from prefect_kubernetes.worker import KubernetesWorkerJobConfiguration as Configuration

    template = json.loads(TEMPLATE.read_text())
    return run_coro_as_sync(Configuration.from_template_and_values(template, variables))


def test_neither_may_do_more_than_it_must():
    for pod in pods():
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["runAsUser"] == int(own.USER)
        [container] = pod["containers"]
        may = container["securityContext"]
        assert may["readOnlyRootFilesystem"] and not may["allowPrivilegeEscalation"]
        assert may["capabilities"] == {"drop": ["ALL"]}
        # Prefect copies folders there, and a node's disk is for all.
        [tmp] = [v["emptyDir"] for v in pod["volumes"] if v["name"] == "tmp"]
        assert tmp == {"medium": "Memory", "sizeLimit": "128Mi"}
    assert pods()[1]["automountServiceAccountToken"] is False


def test_a_run_keeps_its_state_where_the_image_says_it_is():
    mounts = {m["name"]: m["mountPath"] for m in pods()[1]["containers"][0]["volumeMounts"]}
    assert mounts["state"] == own.ENVIRONMENT["ISTHMUS_HOME"]
    assert mounts["tmp"] == own.ENVIRONMENT["HOME"]
    [claim] = kind("PersistentVolumeClaim")
    [state] = [v for v in pods()[1]["volumes"] if v["name"] == "state"]
    assert state["persistentVolumeClaim"]["claimName"] == claim["metadata"]["name"]


def test_kubeconfigs_are_a_secret_for_its_owner_alone():
    [volume] = [v for v in pods()[1]["volumes"] if v["name"] == "kubeconfigs"]
    assert volume["secret"] == {"secretName": "isthmus-kubeconfigs", "defaultMode": 0o400}


def test_worker_and_template_speak_of_the_same_things():
    variables = json.loads(TEMPLATE.read_text())["variables"]["properties"]
    accounts = {account["metadata"]["name"] for account in kind("ServiceAccount")}
    assert variables["service_account_name"]["default"] in accounts
    [space] = kind("Namespace")
    assert variables["namespace"]["default"] == space["metadata"]["name"]
    assert {m["metadata"]["namespace"] for m in WORKER[1:]} == {space["metadata"]["name"]}
    [container] = pods()[0]["containers"]
    assert container["image"] == variables["image"]["default"]


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

    [container] = pods()[0]["containers"]
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


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"job_configuration": {"job_manifest": {}}}'])
def test_a_job_template_that_is_none_is_refused_by_its_name(tmp_path, text):
    (tmp_path / "job.json").write_text(text)
    with pytest.raises(BadEnvironment, match=r"job\.json: must be JSON"):
        pools.read_template(tmp_path / "job.json")


def test_a_job_template_that_is_missing_is_said(tmp_path):
    with pytest.raises(BadEnvironment, match="No such file"):
        pools.read_template(tmp_path / "none.json")


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
    start = "no worker polls it, no run begins; start one: prefect worker start --pool pods-pool"
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
