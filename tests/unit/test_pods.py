"""What runs as pods are given: the job template and the worker's manifests, and how they fit."""

import json
from pathlib import Path

import pytest
import yaml

from isthmus.errors import BadEnvironment
from isthmus.prefect_deploy import pools
from isthmus.providers.lab.images import own

FOLDER = Path(__file__).parents[2] / "deployments/kubernetes"
TEMPLATE = FOLDER / "base-job-template.json"
WORKER = list(yaml.safe_load_all((FOLDER / "worker.yaml").read_text()))


def kind(name: str) -> list[dict]:
    return [manifest for manifest in WORKER if manifest["kind"] == name]


def pods() -> list[dict]:
    """Return the pod of the worker, and that of a run as the template has it."""
    template = json.loads(TEMPLATE.read_text())
    [worker] = kind("Deployment")
    job = template["job_configuration"]["job_manifest"]
    return [worker["spec"]["template"]["spec"], job["spec"]["template"]["spec"]]


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
    assert mounts["state"] == own.CONTAINER_ENV["ISTHMUS_HOME"]
    assert mounts["tmp"] == own.CONTAINER_ENV["HOME"]
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


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"job_configuration": {"job_manifest": {}}}'])
def test_a_job_template_that_is_none_is_refused_by_its_name(tmp_path, text):
    (tmp_path / "job.json").write_text(text)
    with pytest.raises(BadEnvironment, match=r"job\.json: must be JSON"):
        pools.read_template(tmp_path / "job.json")


def test_a_job_template_that_is_missing_is_said(tmp_path):
    with pytest.raises(BadEnvironment, match="No such file"):
        pools.read_template(tmp_path / "none.json")
