"""Beyond one machine: worker and runs are pods of a third region, and build a pair of others."""

import base64
import json
import os
import shutil

import pytest
import yaml
from live.bare import everything, regions
from live.machine import Machine
from live.pods import ENDED, PAIR, POOL, SPACE, WORKER, Shore, deploy, given, load_image, worker
from prefects import Runs, everything_in

from isthmus import state
from isthmus.providers.lab import network


@pytest.fixture(scope="module")
def shore(lab_possible, isthmus, tmp_path_factory):
    home = state.cache() / f"test-home-pods-{os.getpid()}"
    home.mkdir(mode=0o700)
    machine, folder = Machine(), tmp_path_factory.mktemp("pods")
    ours = type(isthmus)(home)
    with regions(ours, folder, "shore", [*PAIR, WORKER]) as clusters:
        known = network.find_network(home / "environments/shore")
        # What pods of a region reach of this machine is its end of the regions' bridge.
        ours.run("server", "start", "--host", known.subnet[1])
        load_image(ours, clusters[WORKER].parent)
        shore = Shore(ours, clusters, Runs(home / "server", folder))
        deploy(ours, folder)
        shore.worker.apply([*given(shore, clusters), *worker(ours)], owner="")
        yield shore
        ours.run("server", "stop", "--now")
    assert machine.left_of(home / "environments") == []
    shutil.rmtree(home)


def test_a_pod_in_a_third_region_builds_the_pair_and_proves_it_by_traffic(shore):
    run = shore.run("build")
    assert run["state"]["type"] == "COMPLETED", run["state"]["message"]
    assert shore.pods_of(shore.job_of(run))
    assert shore.live_roots() == {shore.root()}


def test_another_run_is_another_pod_and_finds_the_same_root(shore):
    root = shore.root()
    run = shore.run("build")
    assert run["state"]["type"] == "COMPLETED", run["state"]["message"]
    assert shore.root() == root and shore.live_roots() == {root}
    assert len(shore.worker.objects("Job", SPACE, api="batch/v1")) == 2


def test_runs_write_nothing_that_others_may_read(shore):
    written = list(shore.claim.rglob("*"))
    assert any(path.name == "root-key.pem" for path in written)
    assert [path for path in written if path.stat().st_mode & 0o077] == []


def test_no_secret_is_in_jobs_pods_the_pool_or_the_servers_database(shore):
    kinds = [("Job", "batch/v1"), ("Pod", "v1"), ("Deployment", "apps/v1"), ("Event", "v1")]
    found = [o for kind, api in kinds for o in shore.worker.objects(kind, SPACE, api=api)]
    assert len(found) > 4
    places = [json.dumps(found).encode(), everything_in(shore.isthmus.home / "server/prefect.db")]
    places.append(json.dumps(shore.runs.ask(f"/work_pools/{POOL}")).encode())
    for place in places:
        assert [needle for needle in secrets_of(shore) if needle.encode() in place] == []


def secrets_of(shore: Shore) -> list[str]:
    tokens = [yaml.safe_load(path.read_text())["users"][0] for path in shore.pair.values()]
    keys = [path.read_text().splitlines()[1] for path in shore.claim.rglob("*key*.pem")]
    needles = [shore.auth, *(token["user"]["token"] for token in tokens), *keys]
    assert len(needles) > 4
    return [*needles, *(base64.b64encode(n.encode()).decode()[4:40] for n in needles)]


def test_a_run_asks_nothing_of_the_cluster_that_it_runs_in(shore):
    for job in shore.worker.objects("Job", SPACE, api="batch/v1"):
        for pod in shore.pods_of(job["metadata"]["name"]):
            volumes = {volume["name"] for volume in pod["spec"]["volumes"]}
            assert volumes == {"state", "kubeconfigs", "tmp"}, "no token of a service account"


def test_a_run_whose_pod_is_taken_away_goes_on_in_another_and_leaves_the_pair_as_it_was(shore):
    """As when a node is drained. The run is the one that takes the pair down again."""
    run = shore.until(shore.begin("teardown"), "RUNNING")
    first = shore.job_of(run)
    [pod] = shore.pods_of(first)
    shore.worker.delete({"apiVersion": "v1", "kind": "Pod", "metadata": pod["metadata"]})
    run = shore.until(run["id"], *ENDED)
    assert run["state"]["type"] == "COMPLETED", run["state"]["message"]
    assert shore.job_of(run) != first and run["run_count"] == 2
    after = everything(shore.pair)
    assert {c: sorted(after[c] ^ shore.before[c]) for c in PAIR} == {c: [] for c in PAIR}
    assert list((shore.claim / "environments").iterdir()) == []
