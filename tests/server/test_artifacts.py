"""What a run leaves on a real Prefect server, and that no step, and no end, waits for it."""

import json
import threading

import httpx
import pytest
import stories
from stories import SECRETS, environment

from isthmus import polling
from isthmus.errors import Rejected
from isthmus.verification import VerificationFailed

pytestmark = pytest.mark.usefixtures("prefect")
PAIR = environment()
ALL = {"outcome", "topology", "verification", "endpoints", "clusters", "steps", "progress"}


@pytest.fixture(autouse=True)
def patient(monkeypatch):
    """A server that many tests share may be busy for longer than a run would wait."""
    from tasks import artifacts

    monkeypatch.setattr(artifacts, "PUBLISH_TIMEOUT", 60.0)
    monkeypatch.setattr(artifacts, "FINAL_PUBLISH_TIMEOUT", 60.0)


@pytest.fixture
def tell():
    """Return a function that runs a flow whose body is given what the run tells, and its steps."""
    from prefect import flow, runtime

    from tasks.artifacts import publish_artifacts

    def run(body, verb="up"):
        ran = []

        @flow(name="story", flow_run_name="up silk-road")
        def story():
            ran.append(runtime.flow_run.id)
            with publish_artifacts(PAIR, verb) as told:
                return body(told, lambda step, *args: follow(told, step, *args))

        return ran, story(return_state=True)

    return run


def follow(told, step, *args):
    future = step.submit(*args)
    told.track(future)
    return future


@pytest.fixture
def steps():
    """Steps that return what those of a build do."""
    from tasks.policies import step

    names = [cluster.name for cluster in PAIR.clusters]

    @step("create cluster", of="name")
    def create(name, folder=None):
        return stories.access(name, folder / name) if folder else stories.access(name)

    @step("open gateway", of="access")
    def open_gateway(access):
        return stories.gateway(PAIR, access.cluster)

    @step("evaluate")
    def judge(*after):
        return stories.verification(PAIR)

    def build(told, start, folder=None):
        clusters = [start(create, name, folder) for name in names]
        gateways = [start(open_gateway, cluster) for cluster in clusters]
        return start(judge, *gateways).result()

    return build


def artifacts_of(run):
    """Return the artifacts of one run as the server has them, by kind."""
    from prefect import get_client
    from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId

    of_run = FlowRunFilter(id=FlowRunFilterId(any_=[run]))
    with get_client(sync_client=True) as client:
        found = client.read_artifacts(flow_run_filter=of_run)
    # Prefect keeps one of its own, without a key, of what a failed run raised.
    return {a.key.removesuffix("-silk-road"): a for a in found if a.key}


def test_a_run_that_ends_well_leaves_all_that_it_found_and_is_at_a_hundred_percent(tell, steps):
    [run], state = tell(steps)
    assert state.is_completed()
    found = artifacts_of(run)
    assert set(found) == ALL
    assert float(found["progress"].data) == 100
    assert found["progress"].description == "5 of 5 steps finished"
    assert "198.18.1.3:15443".replace(":", "#58;") in found["topology"].data
    assert "is one mesh, proven by traffic" in found["outcome"].data
    assert f"/runs/flow-run/{run})" in found["outcome"].data
    rows = json.loads(found["clusters"].data)
    assert [row["gateway"] for row in rows] == ["198.18.0.3:15443", "198.18.1.3:15443"]
    assert "Run up silk-road, " in found["clusters"].description
    kinds = {found[key].type for key in ("clusters", "endpoints", "verification")}
    assert kinds == {"table"}


def test_a_run_that_fails_says_what_failed_and_shows_what_it_knew(tell, steps):
    from tasks.policies import step

    @step("join", of="cluster")
    def join(cluster):
        raise Rejected("403 Forbidden", hint="ask for rights")

    def body(told, start):
        steps(told, start)
        start(join, "shanghai").result()

    [run], state = tell(body)
    assert state.is_failed()
    assert isinstance(state.result(raise_on_failure=False), Rejected)
    found = artifacts_of(run)
    assert found["outcome"].data.startswith("## silk-road: `up` failed at step join of shanghai")
    assert "isthmus up silk-road" in found["outcome"].data
    assert "FAILED join" in found["steps"].data
    assert "network2" in found["topology"].data


def test_what_had_not_ended_when_a_run_failed_is_not_counted(tell):
    from tasks.policies import step

    release = threading.Event()

    @step("wire", of="cluster")
    def wire(cluster):
        release.wait()

    def body(told, start):
        start(wire, "shanghai")
        try:
            raise Rejected("403 Forbidden", cluster="beijing", step="join")
        finally:
            # Only when the artifacts are out may the step end.
            told.after = told.report
            told.report = lambda: (told.after(), release.set())[0]

    [run], _ = tell(body)
    assert "unfinished wire" in artifacts_of(run)["steps"].data


def test_an_unproven_mesh_is_drawn_red_with_its_findings(tell, steps):
    def body(told, start):
        steps(told, start)
        stories.verification(PAIR, silent="shanghai").raise_for_findings()

    [run], state = tell(body, verb="verify")
    assert isinstance(state.result(raise_on_failure=False), VerificationFailed)
    found = artifacts_of(run)
    assert "style c1 stroke" in found["topology"].data
    assert "kubectl --context shanghai" in found["outcome"].data
    assert "isthmus verify silk-road" in found["outcome"].data
    assert json.loads(found["verification"].data)[0]["from shanghai"] == "0 (30-70)"


def test_progress_can_be_followed_while_the_run_is_at_work(tell, monkeypatch):
    from tasks import artifacts
    from tasks.policies import step

    monkeypatch.setattr(artifacts, "PROGRESS_INTERVAL", 0.05)
    release = threading.Event()

    @step("create cluster", of="name")
    def create(name):
        return stories.access(name)

    @step("wire", of="access")
    def wire(access):
        assert release.wait(120)

    def body(told, start):
        wired = start(wire, start(create, "beijing"))
        run = told.report().run.link.rpartition("/")[2]

        def half():
            shown = artifacts_of(run).get("progress")
            return shown if shown and "running: wire (beijing)" in shown.description else None

        try:
            return polling.until(half, "progress", timeout=60)
        finally:
            release.set()
            wired.wait()

    [run], state = tell(body)
    half = state.result()
    assert (float(half.data), half.description) == (
        50,
        "1 of 2 steps finished; running: wire (beijing)",
    )
    assert float(artifacts_of(run)["progress"].data) == 100


def test_a_step_whose_result_came_from_a_cache_is_in_the_tables_of_the_retried_run(tell, prefect):
    from prefect.cache_policies import INPUTS, TASK_SOURCE

    from tasks.policies import step

    ran = []

    @step(
        "create cluster",
        of="name",
        cache_policy=INPUTS + TASK_SOURCE,
        persist_result=True,
        result_serializer="json",
    )
    def create(name):
        ran.append(name)
        return stories.access(name)

    def body(told, start):
        return start(create, "beijing").result()

    for _ in range(2):
        [run], state = tell(body)
        assert state.is_completed()
        [row] = json.loads(artifacts_of(run)["clusters"].data)
        assert row["cluster"] == "beijing"
    assert ran == ["beijing"]
    assert float(artifacts_of(run)["progress"].data) == 100


def test_a_server_that_is_busy_for_a_moment_gets_everything_all_the_same(tell, steps, monkeypatch):
    from tasks import artifacts

    publish, refused = artifacts._publish, []

    def busy(left):
        if len(refused) < 3:
            refused.append(left.key)
            raise answer(503)
        publish(left)

    monkeypatch.setattr(artifacts, "_publish", busy)
    [run], _ = tell(steps)
    assert refused == ["outcome-silk-road"] * 3
    assert set(artifacts_of(run)) == ALL


def answer(status):
    request = httpx.Request("POST", "http://127.0.0.1/api/artifacts/")
    return httpx.HTTPStatusError("no", request=request, response=httpx.Response(status))


@pytest.mark.parametrize("trouble", [answer(422), ValueError(SECRETS["key"])])
def test_an_artifact_that_is_refused_costs_neither_the_run_nor_the_others(
    tell, steps, monkeypatch, caplog, trouble
):
    from tasks import artifacts

    publish = artifacts._publish

    def refuse(left):
        if left.key == "topology-silk-road":
            raise trouble
        publish(left)

    monkeypatch.setattr(artifacts, "_publish", refuse)
    [run], state = tell(steps)
    assert state.is_completed()
    assert set(artifacts_of(run)) == ALL - {"topology"}
    assert "topology-silk-road not published" in caplog.text
    assert "CANARY" not in caplog.text


def test_a_server_that_answers_nothing_does_not_hold_the_end_of_a_run(tell, steps, monkeypatch):
    from tasks import artifacts

    release = threading.Event()
    monkeypatch.setattr(artifacts, "FINAL_PUBLISH_TIMEOUT", 0.1)
    monkeypatch.setattr(artifacts, "_publish", lambda left: release.wait())
    try:
        # It comes back although nothing can be published, or this test would never end.
        _, state = tell(steps)
        assert state.is_completed()
    finally:
        release.set()


def test_the_api_server_is_shown_and_nothing_else_of_a_kubeconfig(tell, steps, tmp_path):
    for cluster in PAIR.clusters:
        (tmp_path / cluster.name).write_text(
            f"""
clusters: [{{name: c, cluster: {{server: "https://10.0.0.1:6443"}}}}]
users: [{{name: u, user: {{token: CANARY, client-key-data: CANARY}}}}]
contexts: [{{name: {cluster.name}, context: {{cluster: c, user: u}}}}]
"""
        )
    [run], _ = tell(lambda told, start: steps(told, start, tmp_path))
    found = artifacts_of(run)
    assert json.loads(found["clusters"].data)[0]["API server"] == "https://10.0.0.1:6443"
    assert not [key for key, artifact in found.items() if "CANARY" in str(artifact.data)]


def test_secrets_in_an_exception_are_in_no_artifact(tell):
    from tasks.policies import step

    @step("install host", of="cluster")
    def install(cluster):
        raise Rejected("\n".join(SECRETS.values()), hint="\n".join(SECRETS.values()))

    [run], _ = tell(lambda told, start: start(install, "beijing").result())
    found = artifacts_of(run)
    assert {"outcome", "steps", "progress"} == set(found)
    for artifact in found.values():
        assert "CANARY" not in f"{artifact.data}{artifact.description}"


def test_each_run_of_an_environment_is_a_version_under_the_same_keys(tell, steps):
    from prefect import get_client

    [first], _ = tell(steps)
    [second], _ = tell(steps)
    assert set(artifacts_of(first)) == set(artifacts_of(second)) == ALL
    with get_client(sync_client=True) as client:
        latest = client.request(
            "GET", "/artifacts/{key}/latest", path_params={"key": "steps-silk-road"}
        )
    assert latest.json()["flow_run_id"] == str(second)
