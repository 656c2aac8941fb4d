"""Deploying to a real Prefect server: again with the same result, and nothing of others."""

import json
import os
import re
import subprocess
import sys
import zlib
from pathlib import Path

import pytest
from deployed import deployed, done, one, put
from prefect.client.schemas.actions import WorkPoolCreate, WorkPoolUpdate

from isthmus.adapters import prefect_api
from isthmus.errors import BadEnvironment, Rejected

pytestmark = pytest.mark.usefixtures("prefect")
ROOT = Path(__file__).parents[2]
NIGHTLY = '{slug: nightly, cron: "30 2 * * *", timezone: Asia/Shanghai}'
HOURLY = '{slug: hourly, cron: "0 * * * *", timezone: UTC}'


@pytest.fixture
def client():
    from prefect import get_client

    with get_client(sync_client=True) as client:
        yield client


@pytest.fixture
def owner(request):
    """Return a name that only this test gives to its file, its deployment and its environment."""
    return f"t-{zlib.crc32(request.node.name.encode())}-x"


def schedules(client, name):
    found = client.read_deployment_by_name(f"build/{name}")
    return {s.slug: s for s in client.read_deployment_schedules(found.id)}


def test_all_that_the_file_asks_for_is_there_and_deployed_again_has_the_same_identities(
    tmp_path, owner
):
    path = put(tmp_path, one(owner, owner, f"[{NIGHTLY}]"))
    first, again = deployed(path), deployed(path)
    assert done(first, "deployment") == {f"build/{owner}": "created"}
    assert done(first, "schedule") == {f"build/{owner} nightly": "created"}
    assert done(first, "limit") == {f"isthmus-{owner}": "created"}
    assert set(done(again).values()) == {"unchanged"}
    assert {k: c.identity for k, c in first.items()} == {k: c.identity for k, c in again.items()}


def test_runs_need_no_folder_and_bear_the_tag_of_ours(tmp_path, owner, client):
    deployed(put(tmp_path, one(owner, owner)))
    found = client.read_deployment_by_name(f"build/{owner}")
    assert found.entrypoint == "flows.build.build"
    assert (found.path, found.pull_steps) == (None, [])
    assert "isthmus" in found.tags
    run = client.create_flow_run_from_deployment(found.id)
    assert "isthmus" in run.tags


def test_one_run_at_a_time_is_what_the_limit_says_also_if_somebody_changed_it(
    tmp_path, owner, client
):
    path = put(tmp_path, one(owner, owner))
    deployed(path)
    client.upsert_global_concurrency_limit_by_name(f"isthmus-{owner}", 5)
    assert deployed(path)["limit", f"isthmus-{owner}"].text == "limit"
    assert client.read_global_concurrency_limit_by_name(f"isthmus-{owner}").limit == 1


def test_a_schedule_that_left_the_file_is_gone_and_one_made_by_hand_stays(tmp_path, owner, client):
    from prefect.client.schemas.schedules import CronSchedule

    deployed(put(tmp_path, one(owner, owner, f"[{NIGHTLY}, {HOURLY}]")))
    identity = client.read_deployment_by_name(f"build/{owner}").id
    client.create_deployment_schedules(identity, [(CronSchedule(cron="1 1 1 1 *"), False)])
    changes = deployed(put(tmp_path, one(owner, owner, f"[{NIGHTLY}]")))
    assert changes["schedule", f"build/{owner} hourly"].done == "removed"
    assert changes["schedule", f"build/{owner}"].text == "made by hand"
    assert set(schedules(client, owner)) == {"nightly", None}
    deployed(put(tmp_path, one(owner, owner)))
    assert set(schedules(client, owner)) == {None}


def test_a_schedule_that_somebody_paused_stays_paused_unless_the_file_says_active(
    tmp_path, owner, client
):
    path = put(tmp_path, one(owner, owner, f"[{NIGHTLY}]"))
    deployed(path)
    before = schedules(client, owner)["nightly"]
    found = client.read_deployment_by_name(f"build/{owner}")
    client.update_deployment_schedule(found.id, before.id, active=False)
    later = NIGHTLY.replace("30 2", "30 4")
    changes = deployed(put(tmp_path, one(owner, owner, f"[{later}]")))
    text = changes["schedule", f"build/{owner} nightly"].text
    assert text.startswith("schedule; paused by somebody, it does not run")
    assert f"prefect deployment schedule resume build/{owner} {before.id}" in text
    after = schedules(client, owner)["nightly"]
    assert (after.id, after.active, after.schedule.cron) == (before.id, False, "30 4 * * *")
    deployed(put(tmp_path, one(owner, owner, f"[{later[:-1]}, active: true}}]")))
    assert schedules(client, owner)["nightly"].active is True


def test_what_somebody_changed_in_the_pages_is_as_in_the_file_again(tmp_path, owner, client):
    from prefect.client.schemas.actions import DeploymentUpdate

    path = put(tmp_path, one(owner, owner))
    deployed(path)
    found = client.read_deployment_by_name(f"build/{owner}")
    client.update_deployment(found.id, DeploymentUpdate(description="by hand", paused=True))
    text = deployed(path)["deployment", f"build/{owner}"].text
    assert text == "description; paused, none of its schedules runs; resume it in the UI"
    after = client.read_deployment_by_name(f"build/{owner}")
    assert after.description == found.description
    assert after.paused, "who paused it did so for a reason"


@pytest.mark.parametrize(
    "wrong",
    [
        "parameters: {environment: {name: a, host: {name: b}, remotes: [{name: b}]}}",
        "parameters: {if_busy: later}",
        "parametres: {}",
    ],
)
def test_a_schedule_with_wrong_parameters_is_refused_and_nothing_is_written(
    tmp_path, owner, client, wrong
):
    good = one(owner, f"{owner}-good")
    path = put(tmp_path, one(owner, owner, f"[{NIGHTLY[:-1]}, {wrong}}}]"))
    path.write_text(path.read_text() + good.split("deployments:\n")[1])
    with pytest.raises(BadEnvironment, match=r"prefect.yaml:7: deployments\[0\].schedules\[0\]"):
        deployed(path)
    names = {d.name for d in client.read_deployments(limit=200)}
    limits = {x.name for x in client.read_global_concurrency_limits(limit=200)}
    assert not {owner, f"{owner}-good"} & names
    assert f"isthmus-{owner}" not in limits


def test_a_deployment_that_left_the_file_is_named_and_deleted_only_if_told(tmp_path, owner, client):
    deployed(put(tmp_path, one(owner, f"{owner}-old")))
    path = put(tmp_path, one(owner, owner))
    change = deployed(path)["deployment", f"build/{owner}-old"]
    assert (change.done, "--prune" in change.text) == ("left", True)
    assert client.read_deployment_by_name(f"build/{owner}-old")
    change = deployed(path, prune=True)["deployment", f"build/{owner}-old"]
    assert change.done == "removed"
    assert ("deployment", f"build/{owner}-old") not in deployed(path)


def test_the_last_deployments_of_a_file_can_be_deleted_too(tmp_path, owner, client):
    deployed(put(tmp_path, one(owner, owner)))
    path = tmp_path / "prefect.yaml"
    path.write_text(f"name: {owner}\npull: []\ndeployments: []\n")
    assert deployed(path, prune=True)["deployment", f"build/{owner}"].done == "removed"


def test_whoever_deploys_where_no_run_begins_is_told_why_and_what_to_type(tmp_path, owner, client):
    path = put(tmp_path, one(owner, owner))
    start = f"no worker polls it, no run starts; start one: prefect worker start --pool {owner}"
    assert deployed(path, work_pool=owner)["work pool", owner].text == start
    client.send_worker_heartbeat(owner, "somebody")
    assert deployed(path, work_pool=owner)["work pool", owner].text == ""
    queue = client.read_work_queue_by_name("default", work_pool_name=owner)
    client.update_work_queue(queue.id, is_paused=True)
    said = deployed(path, work_pool=owner)["work pool", owner].text
    assert f"resume: prefect work-queue resume default --pool {owner}" in said
    client.update_work_pool(owner, WorkPoolUpdate(is_paused=True))
    said = deployed(path, work_pool=owner)["work pool", owner].text
    assert said == f"paused, no run starts; resume: prefect work-pool resume {owner}"


def test_server_status_knows_of_a_paused_pool_and_its_paused_queues(owner, client):
    api = prefect_api.PrefectApi(str(client.api_url))
    assert prefect_api.list_paused(api, owner) == []
    client.create_work_pool(WorkPoolCreate(name=owner, type="process"))
    assert prefect_api.list_paused(api, owner) == []
    queue = client.read_work_queue_by_name("default", work_pool_name=owner)
    client.update_work_queue(queue.id, is_paused=True)
    assert prefect_api.list_paused(api, owner) == ["work queue default"]
    client.update_work_pool(owner, WorkPoolUpdate(is_paused=True))
    assert prefect_api.list_paused(api, owner) == [f"work pool {owner}", "work queue default"]


def test_what_is_another_file_s_is_neither_removed_nor_taken_over(tmp_path, owner, client):
    deployed(put(tmp_path / "theirs", one(f"{owner}-theirs", owner)))
    mine = put(tmp_path / "mine", one(owner, owner))
    with pytest.raises(Rejected, match=f"is from the file called {owner}-theirs") as caught:
        deployed(mine)
    assert "give yours another name" in caught.value.hint
    changes = deployed(put(tmp_path / "mine", one(owner, f"{owner}-mine")), prune=True)
    assert f"build/{owner}" not in done(changes, "deployment")
    assert client.read_deployment_by_name(f"build/{owner}")


def test_another_work_pool_may_be_named_and_one_that_is_there_keeps_its_type(
    tmp_path, owner, client
):
    from prefect.client.schemas.actions import WorkPoolCreate

    client.create_work_pool(WorkPoolCreate(name=f"{owner}-pods", type="kubernetes"))
    changes = deployed(put(tmp_path, one(owner, owner)), work_pool=f"{owner}-pods")
    assert done(changes, "work pool") == {f"{owner}-pods": "unchanged"}
    assert client.read_deployment_by_name(f"build/{owner}").work_pool_name == f"{owner}-pods"
    assert client.read_work_pool(f"{owner}-pods").type == "kubernetes"


def test_the_project_s_own_files_are_deployed_by_its_command(tmp_path, prefect_server):
    first = command(tmp_path, prefect_server, "-o", "json")
    assert first.returncode == 0, first.stderr
    document = json.loads(first.stdout)
    assert (document["apiVersion"], document["kind"]) == ("isthmus/v1", "Deployment")
    assert {c["name"] for c in document["changes"] if c["kind"] == "deployment"} >= {
        "rebuild/rebuild", "region-pair/region-pair",
    }  # fmt: skip
    again = command(tmp_path, prefect_server)
    assert again.returncode == 0, again.stderr
    assert not re.search(r"\bchanged\b", again.stdout)
    assert "created" not in again.stdout
    assert "absent: there is no webhook for it to call" in again.stdout


def test_a_broken_file_is_exit_65_and_has_no_traceback(tmp_path, prefect_server):
    path = put(tmp_path, one("broken").replace("pull: []\n", ""))
    told = command(tmp_path, prefect_server, str(path))
    assert told.returncode == 65
    assert f"{path}:1: pull: is required" in told.stderr
    assert "Traceback" not in told.stderr


def command(home, server, *arguments):
    """Run `isthmus deploy` as a person would, against the tests' server."""
    given = {k: v for k, v in os.environ.items() if not k.startswith("PREFECT_")}
    own = {"ISTHMUS_HOME": str(home / "home"), "PREFECT_API_URL": server[0]}
    words = [sys.executable, "-m", "isthmus.cli.main", "deploy", *arguments]
    return subprocess.run(
        words, cwd=ROOT, env={**given, **own, "PREFECT_CLIENT_MAX_RETRIES": "50"},
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
