"""A cluster that the file has no longer: first nobody sends to it, then it goes."""

import json
import shutil

import pytest
from fakes import limit, limited
from world import environment

from isthmus import environment_store, state
from isthmus.adapters.diff import ENVIRONMENT_LABEL
from isthmus.environment import load
from isthmus.errors import BadEnvironment, ClusterUnreachable, Rejected
from isthmus.step_results import Done, RemovedCluster

pytestmark = pytest.mark.usefixtures("prefect")
ALL = ("beijing", "shanghai", "guangzhou")
LEFT = "guangzhou"


def build(*regions, federation="kubefed"):
    from flows.build import build

    return build(environment(federation, regions=regions))


def teardown(*regions):
    from flows.teardown import teardown

    teardown(environment(regions=regions))


@pytest.fixture(autouse=True)
def one_leaves_at_a_time(three):
    """In a teardown all leave side by side, here one leaves alone."""


@pytest.mark.parametrize("federation", ["kubefed", "direct"])
def test_a_cluster_is_let_go_after_nobody_sends_to_it(three, told, federation, folders):
    build(*ALL, federation=federation)
    told.clear()
    found = build(*ALL[:2], federation=federation)
    assert found.verdict == "pass"
    assert [c.cluster for c in found.clients] == ["beijing", "shanghai"]
    order = [
        "delete remote secret",
        "wait until proxies drop",
        "drain",
        "leave federation",
        "release cluster",
    ]
    assert [(n, c) for k, n, c in told if k == "done" and n in order] == [(n, LEFT) for n in order]
    assert three.left()[LEFT] == []
    assert three.released == [LEFT]
    assert LEFT not in three.joins
    assert LEFT not in json.dumps([list(key) for key in three.host.store])
    folder = folders / "home/environments/pair"
    assert not list(folder.glob("leaving/*")) and not (folder / "ca" / LEFT).exists()


def test_what_kubefed_deletes_where_it_carries_no_longer_waits_until_the_cluster_left(three, told):
    build(*ALL)
    told.clear()
    build(*ALL[:2])
    left = told.index(("done", "leave federation", LEFT))
    for step in ("federate namespace istio-system", "federate namespace sample", "deploy sample"):
        assert left < told.index(("started", step, None)), step


def test_the_others_objects_stay_as_they_are(three):
    build(*ALL)
    before = three.writes()
    build(*ALL[:2])
    shanghai = three.writes()["shanghai"][len(before["shanghai"]) :]
    carried = ("namespaces/istio-system", "namespaces/sample", "cacerts", "deployments/helloworld")
    assert [w for w in shanghai if not w.endswith("None") and not w.endswith(carried)] == []


def test_a_build_without_change_says_that_nobody_left_and_writes_nothing(three, told):
    build(*ALL[:2])
    before = three.writes()
    told.clear()
    build(*ALL[:2])
    assert three.writes() == before
    assert ("done", "find removed clusters", "beijing") in told
    assert not [name for _, name, _ in told if name in ("delete remote secret", "release cluster")]


def test_requests_on_their_way_end_before_the_cluster_goes(three, told):
    build(*ALL)
    three.kubes[LEFT].on_their_way = [2, 1]
    build(*ALL[:2])
    assert three.kubes[LEFT].on_their_way == []


def test_what_never_ends_is_cut_after_a_while_and_said(three):
    from tasks import decommission

    build(*ALL)
    three.kubes[LEFT].on_their_way = [3] * 9
    access = three.kubes[LEFT].access
    with limited(drain=0):
        removed = RemovedCluster(cluster=LEFT, access=access)
        found = decommission.drain.fn(environment(), removed, Done(cluster=LEFT))
    assert found.found == "3 connections open after 0 s"


def test_a_sidecar_that_does_not_forget_is_named_and_nothing_is_taken_away(three, monkeypatch):
    from tasks import decommission

    build(*ALL)
    limit(monkeypatch, proxies=0)
    monkeypatch.setattr(three, "wired", lambda: list(three.kubes.values()))
    with pytest.raises(decommission.NotReady, match=r"sidecar of sample/\S+ to drop the endpoint"):
        build(*ALL[:2])
    assert LEFT in three.joins and three.released == []


def test_a_cluster_that_does_not_answer_is_let_go_unheard_and_cleaned_when_it_is_back(
    three, told, monkeypatch
):
    build(*ALL)
    access = three.access
    monkeypatch.setattr(three, "access", lambda e, c: silent(c) or access(e, c))
    before = list(three.kubes[LEFT].writes)
    assert build(*ALL[:2]).verdict == "pass"
    assert three.kubes[LEFT].writes == before
    assert three.left()[LEFT], "it could not be cleaned"
    assert three.released == []
    kinds = {key[1] for key in three.host.store if LEFT in str(key[3])}
    assert kinds == set(), "the host's side is clean all the same"
    monkeypatch.setattr(three, "access", access)
    build(*ALL[:2])
    assert three.left()[LEFT] == [] and three.released == [LEFT]


def silent(cluster):
    if cluster.name == LEFT:
        raise ClusterUnreachable("no route to host", cluster=LEFT)


def test_what_is_left_in_a_silent_cluster_is_said_with_what_becomes_of_it(three, folders):
    from tasks.decommission import release_cluster

    build(*ALL)
    environment_store.save(environment(regions=ALL[:2]))
    removed = RemovedCluster(cluster=LEFT, unreachable_reason="no route to host")
    found = release_cluster.fn(environment(regions=ALL[:2]), removed, None).found
    record = environment_store.removal_record_path("pair", LEFT)
    assert record.exists()
    for part in ("no route to host", f"{ENVIRONMENT_LABEL}=pair", "next up or down", str(record)):
        assert part in found


def test_down_does_not_fail_for_a_removed_cluster_that_does_not_answer(three, monkeypatch, folders):
    build(*ALL)
    environment_store.save(environment(regions=ALL[:2]))
    access = three.access
    monkeypatch.setattr(three, "access", lambda e, c: silent(c) or access(e, c))
    teardown(*ALL[:2])
    assert {n: three.left()[n] for n in ALL[:2]} == {"beijing": [], "shanghai": []}
    assert not (folders / "home/environments/pair").exists()


@pytest.mark.parametrize(
    ("step", "end"), [("delete_remote_secret", "up"), ("release_cluster", "up"), ("drain", "down")]
)
def test_parting_that_stopped_half_way_is_taken_up_by_the_next_run(three, monkeypatch, step, end):
    from tasks import decommission

    build(*ALL)
    whole = getattr(decommission, step).fn
    broken = getattr(decommission, step).with_options(retries=0)
    monkeypatch.setattr(broken, "fn", stopping)
    with monkeypatch.context() as at_once:
        at_once.setattr(decommission, step, broken)
        with pytest.raises(Rejected, match="as if killed"):
            build(*ALL[:2])
    assert whole is getattr(decommission, step).fn
    if end == "up":
        assert build(*ALL[:2]).verdict == "pass"
        assert three.left()[LEFT] == []
    else:
        teardown(*ALL[:2])
        assert three.left() == {"beijing": [], "shanghai": [], LEFT: []}
    assert three.released == [LEFT]


def stopping(*args, **kwargs):
    raise Rejected("as if killed")


def test_a_cluster_that_comes_back_before_it_has_left_stays(three):
    build(*ALL)
    environment_store.save(environment(regions=ALL[:2]))
    assert environment_store.removal_record_path("pair", LEFT).exists()
    found = build(*ALL)
    assert [c.cluster for c in found.clients] == list(ALL)
    assert not environment_store.removal_record_path("pair", LEFT).exists() and three.released == []


def test_down_by_a_file_that_lost_a_cluster_takes_that_cluster_too(three):
    build(*ALL)
    teardown(*ALL[:2])
    assert three.left() == {"beijing": [], "shanghai": [], LEFT: []}


def test_a_host_whose_removed_cluster_nobody_here_knows_is_cleaned_of_it(three, told):
    build(*ALL)
    shutil.copytree(state.folder("pair") / "ca", state.home() / "ca")
    shutil.rmtree(state.folder("pair"))
    shutil.copytree(state.home() / "ca", state.folder("pair") / "ca")
    assert build(*ALL[:2]).verdict == "pass"
    assert LEFT not in json.dumps([list(key) for key in three.host.store])
    assert three.left()[LEFT], "nobody knows how to reach it"


def test_a_secret_of_somebody_else_is_left_alone(three):
    build(*ALL[:2])
    theirs = {"name": "istio-remote-secret-lhasa", "namespace": "istio-system"}
    labels = {"istio/multiCluster": "true"}
    three.host.put({"apiVersion": "v1", "kind": "Secret", "metadata": {**theirs, "labels": labels}})
    build(*ALL[:2])
    assert ("v1", "secrets", "istio-system", theirs["name"]) in three.host.store


def test_a_region_that_joins_others_at_work_is_asked_once_its_gateway_is_open(three, told):
    build(*ALL[:2])
    told.clear()
    order = []
    for cluster in three.kubes.values():
        cluster.reactions.append(lambda c, m: order.append((c.access.cluster, m["kind"], name(m))))
    assert build(*ALL).verdict == "pass"
    gateway = order.index((LEFT, "Deployment", "istio-eastwestgateway"))
    assert gateway < order.index((LEFT, "Deployment", "helloworld"))


def name(manifest):
    return manifest["metadata"]["name"]


@pytest.mark.parametrize(
    ("change", "said", "hint"),
    [
        ({"regions": ("shanghai", "beijing")}, "host beijing", "isthmus down pair"),
        ({"regions": ("guangzhou", "beijing", "shanghai")}, "host beijing", "isthmus down pair"),
        ({"provider": "lab"}, "provider kubeconfig", "isthmus down pair"),
    ],
)
def test_what_no_step_can_change_is_refused_before_anything_is_touched(
    folders, change, said, hint, tmp_path
):
    before = changed(tmp_path)
    environment_store.save(before)
    kept = state.stored_environment_path("pair").read_text()
    assert load(state.stored_environment_path("pair")) == before
    with pytest.raises(BadEnvironment, match=said) as caught:
        environment_store.save(changed(tmp_path, **change))
    assert hint in caught.value.hint
    assert state.stored_environment_path("pair").read_text() == kept
    assert not list((folders / "home").rglob("leaving"))


def changed(tmp_path, provider="kubeconfig", regions=ALL):
    if provider == "lab":
        return environment(regions=regions)
    found = environment(regions=regions)
    host, *remotes = (
        c.model_copy(update={"kubeconfig": tmp_path / "k", "context": c.name})
        for c in found.clusters
    )
    update = {"provider": provider, "host": host, "remotes": remotes}
    return found.model_copy(update=update)


def test_a_network_that_moved_up_with_its_place_in_the_file_is_refused_with_the_line_to_write(
    folders,
):
    from isthmus.environment import Environment

    def of(*remotes):
        data = {"name": "pair", "host": {"name": "beijing"}}
        return Environment.model_validate({**data, "remotes": [{"name": r} for r in remotes]})

    environment_store.save(of("shanghai", "guangzhou"))
    with pytest.raises(BadEnvironment, match=r"network3.*network2") as caught:
        environment_store.save(of("guangzhou"))
    assert caught.value.cluster == "guangzhou"
    assert "`network: network3`" in caught.value.hint
