"""The stories, told to clusters in memory by a real Prefect: their order, and what failure does."""

import base64
import json
import logging
import shutil

import pytest
from world import CANARY, World, environment

from isthmus import events, polling, state
from isthmus.adapters import kubefed, readiness
from isthmus.environment import Timeouts
from isthmus.environment.namespaces import KUBEFED_NAMESPACE
from isthmus.errors import ClusterUnreachable, Findings, NotReady, Rejected
from isthmus.istio_manifests import resolve_environment
from isthmus.step_results import Done
from tasks.policies import RETRIES

pytestmark = pytest.mark.usefixtures("prefect")


def build(of=None):
    from flows.build import build

    return build(of or environment())


def teardown(of=None):
    from flows.teardown import teardown

    teardown(of or environment())


def verify(of=None):
    from flows.verify import verify

    return verify(of or environment())


def of_kind(told, kind, name):
    return [cluster for k, n, cluster in told if (k, n) == (kind, name)]


def test_each_step_comes_after_what_it_needs(world, told):
    build()

    def before(one, other):
        assert told.index(("done", *one)) < told.index(("started", *other)), (one, other)

    for remote in ("shanghai",):
        before(("check istiod remote endpoint", "beijing"), ("install remote", remote))
        before(("federate secret cacerts", None), ("install remote", remote))
        before(("install remote", remote), ("create remote secret", remote))
        before(("create remote secret", remote), ("open gateway", remote))
        before(("create remote secret", remote), ("deploy caller", remote))
    before(("make namespace istio-system", "beijing"), ("install host", "beijing"))
    before(("install federation", "beijing"), ("join", "shanghai"))
    before(("start federation", "beijing"), ("federate namespace istio-system", None))
    for client in ("beijing", "shanghai"):
        before(("deploy sample", None), ("verify from", client))
        before(("open gateway", client), ("verify from", client))
    assert told[-1] == ("done", "evaluate", None)


def test_a_second_build_writes_nothing_and_believes_no_endpoint_that_moved(world):
    build()
    before, joined = world.writes(), list(world.joins)
    world.host.address = "198.18.0.9"
    key = ("v1", "services", "istio-system", "istio-eastwestgateway")
    world.host.store[key]["status"] = {"loadBalancer": {"ingress": [{"ip": "198.18.0.9"}]}}
    found = build()
    assert (found.verdict, world.writes(), world.joins) == ("pass", before, joined)
    assert "198.18.0.9:15443" in found.clients[1].observed_endpoints


def test_a_region_that_never_answers_ends_the_build_and_verify_changes_nothing(world):
    world.kubes["shanghai"].answering = False
    with pytest.raises(Findings) as caught:
        build()
    assert caught.value.exit_code == 79
    assert "shanghai" in caught.value.message
    before = world.writes()
    with pytest.raises(Findings, match="shanghai"):
        verify()
    world.kubes["shanghai"].answering = True
    assert verify().verdict == "pass"
    assert world.writes() == before


def test_what_failed_first_is_raised_and_the_other_branches_end(world, told):
    world.troubles["shanghai"] = [Rejected("403 Forbidden", hint="ask for rights")]
    with pytest.raises(Rejected) as caught:
        build()
    error = caught.value
    assert (error.cluster, error.step, error.hint) == ("shanghai", "join", "ask for rights")
    assert of_kind(told, "failed", "join") == ["shanghai"]
    assert {"beijing"} == set(of_kind(told, "done", "join"))
    assert of_kind(told, "done", "install host") == ["beijing"]
    assert of_kind(told, "done", "check istiod remote endpoint") == ["beijing"]
    assert not of_kind(told, "started", "install remote")
    assert not of_kind(told, "started", "verify from")


def join(world):
    """Run one step as a flow would."""
    from tasks.federation import join

    host, member = world.host.access, world.kubes["shanghai"].access
    return join(environment(), host, member, Done(cluster="beijing"))


MEMBERS = "KubeFedCluster", KUBEFED_NAMESPACE, kubefed.CORE_API
PRIVATE = "https://192.0.2.7:6443"


def reached_elsewhere(world):
    """Let other clusters reach shanghai at another URL than this machine does."""
    remote = world.kubes["shanghai"]
    remote.access = remote.access.model_copy(update={"server": PRIVATE})


def test_a_member_is_reached_where_other_clusters_reach_it(world):
    reached_elsewhere(world)
    assert join(world).found == "joined"
    members = {m["metadata"]["name"]: m["spec"] for m in world.host.objects(*MEMBERS)}
    assert members["shanghai"]["apiEndpoint"] == PRIVATE
    assert join(world).found == "unchanged"


def test_a_member_that_other_clusters_reach_elsewhere_now_is_joined_anew(world):
    join(world)
    reached_elsewhere(world)
    assert join(world).found == "joined"
    assert join(world).found == "unchanged"


def test_istiod_is_told_to_reach_a_remote_where_other_clusters_reach_it(world):
    reached_elsewhere(world)
    build(environment())
    secret = world.host.get("Secret", "istio-remote-secret-shanghai", "istio-system")
    told = json.loads(base64.b64decode(secret["data"]["shanghai"]))
    assert told["clusters"][0]["cluster"]["server"] == PRIVATE


def test_what_may_pass_is_tried_again_and_told_as_such(world, told):
    world.troubles["shanghai"] = [NotReady("webhook not up"), ClusterUnreachable("HTTP 503")]
    assert join(world).found == "joined"
    assert [kind for kind, *_ in told] == [
        *["started", "retrying", "started", "retrying", "started", "done"]
    ]


def test_what_will_not_pass_is_tried_once(world, told):
    world.troubles["shanghai"] = [Rejected("403 Forbidden")] * 4
    with pytest.raises(Rejected, match="403 Forbidden"):
        join(world)
    assert [kind for kind, *_ in told] == ["started", "failed"]


def test_what_does_not_pass_is_given_up_in_the_end(world, told):
    world.troubles["shanghai"] = [NotReady("still not up")] * 9
    with pytest.raises(NotReady) as caught:
        join(world)
    assert caught.value.exit_code == 75
    assert [kind for kind, *_ in told] == [*["started", "retrying"] * RETRIES, "started", "failed"]


def test_a_bug_is_raised_as_what_it_is_and_not_tried_again(world, told):
    world.troubles["shanghai"] = [KeyError("apiEndpoint")] * 4
    with pytest.raises(KeyError, match="apiEndpoint"):
        join(world)
    assert [kind for kind, *_ in told] == ["started", "failed"]


@pytest.mark.parametrize("federation", ["kubefed", "direct"])
def test_a_mesh_that_answers_from_everywhere_and_nothing_of_it_later(
    world, told, federation, folders
):
    found = build(environment(federation))
    assert (found.verdict, found.reasons) == ("pass", [])
    assert [c.cluster for c in found.clients] == ["beijing", "shanghai"]
    assert bool(world.joins) == (federation == "kubefed")
    assert {kind for kind, *_ in told} <= {"started", "noted", "done"}
    told.clear()
    teardown(environment(federation))
    assert world.left() == {"beijing": [], "shanghai": []}
    assert world.joins == []
    assert not list((folders / "home/environments").iterdir())
    withdrawn = of_kind(told, "done", "remove objects")
    assert withdrawn[0] == "beijing" and sorted(withdrawn) == ["beijing", "shanghai"]


@pytest.mark.parametrize("federation", ["kubefed", "direct"])
def test_a_mesh_that_another_home_built_goes_only_if_a_person_says_so(
    world, federation, folders, monkeypatch
):
    from flows.teardown import teardown as flow

    build(environment(federation))
    before = world.left()
    monkeypatch.setenv("ISTHMUS_HOME", str(folders / "another"))
    who = "beijing: its root CA was made by .+@.+ from .+/environments/pair on 20"
    with pytest.raises(Rejected, match=who) as caught:
        flow(environment(federation))
    assert "isthmus down pair --yes" in caught.value.hint
    assert world.left() == before
    with pytest.raises(Rejected, match=r"another root CA .*was made by .+@.+ from "):
        build(environment(federation))
    assert world.left() == before
    flow(environment(federation), anothers=True)
    assert world.left() == {"beijing": [], "shanghai": []}


def test_every_step_waits_as_long_as_its_environment_says(world):
    def note(event):
        if event.kind == "started":
            seen.setdefault(event.name, set()).add(polling.timeouts().helm)

    seen, before = {}, polling.timeouts()
    given = environment().model_copy(update={"timeouts": Timeouts(helm=9)})
    with events.subscribe(note):
        build(given)
        teardown(given)
    assert {
        "wait for nodes",
        "start federation",
        "create remote secret",
        "remove objects",
    } <= seen.keys()
    assert {name: found for name, found in seen.items() if found != {9}} == {}
    assert polling.timeouts() == before


def test_a_teardown_of_nothing_is_well(world):
    teardown()
    teardown()
    assert world.deleted == 2


def test_clusters_that_go_whole_are_not_emptied_first(world, monkeypatch, told):
    monkeypatch.setattr(World, "disposable", True)
    teardown()
    assert (world.deleted, world.writes()) == (1, {"beijing": [], "shanghai": []})
    assert not of_kind(told, "started", "remove objects")


def test_a_cluster_that_is_silent_keeps_the_record_of_what_is_left(world, monkeypatch, folders):
    state.ensure_folder("pair")
    gone = ClusterUnreachable("no answer", cluster="shanghai")
    monkeypatch.setattr(world.kubes["shanghai"], "failures", [gone] * 50)
    with pytest.raises(ClusterUnreachable, match="shanghai"):
        teardown()
    assert world.deleted == 0
    assert (folders / "home/environments/pair").is_dir()


@pytest.fixture
def asked(monkeypatch):
    """Addresses of the gateway that were really asked for."""
    clusters, real = [], readiness.await_address

    def address_of(client, *what):
        clusters.append(client.access.cluster)
        return real(client, *what)

    monkeypatch.setattr(readiness, "await_address", address_of)
    return clusters


def test_the_endpoint_is_remembered_for_this_very_host_and_installation(world, asked):
    from tasks.gateways import find_istiod_endpoint as endpoint

    service = {"name": "istio-eastwestgateway", "namespace": "istio-system"}
    world.host._patch(None, {"apiVersion": "v1", "kind": "Service", "metadata": service})
    host, env = world.host.access, environment()
    other_overlay = environment(overlays={"host": {"values": {"pilot": {"cpu": {}}}}})
    rebuilt = host.model_copy(update={"uid": "another"})
    for values, times in [
        ((env, host), 1),
        ((env, host), 1),
        ((env, rebuilt), 2),
        ((other_overlay, host), 3),
        ((environment(name="other"), host), 4),
        ((env, host), 4),
    ]:
        of, access = values
        assert endpoint(resolve_environment(of), access).address == "198.18.0.3"
        assert len(asked) == times, values


def test_no_secret_is_left_in_prefect_or_told_to_anybody(world, prefect, folders, caplog, told):
    from prefect.logging.handlers import APILogWorker
    from prefect.settings import PREFECT_LOGGING_TO_API_ENABLED, temporary_settings

    caplog.set_level(logging.DEBUG)
    texts = []
    with (
        temporary_settings({PREFECT_LOGGING_TO_API_ENABLED: True}),
        events.subscribe(lambda event: texts.append(repr(event))),
    ):
        build(environment("kubefed"))
        world.troubles["beijing"] = [Rejected("refused")]
        world.host.store.pop(("core.kubefed.io/v1beta1", "kubefedclusters", *FEDERATED))
        with pytest.raises(Rejected):
            build(environment("kubefed"))
        APILogWorker.drain_all()
    stored = polling.until(lambda: history(prefect), "the last step's record", timeout=20)
    stored += b"".join(p.read_bytes() for p in (folders / "results").rglob("*") if p.is_file())
    stored += "\n".join([*texts, caplog.text]).encode()
    assert b"istiod-remote-endpoint" in stored or b"198.18.0.3" in stored
    for secret in secrets(folders / "home/environments/pair/ca", world):
        assert secret.encode() not in stored


FEDERATED = ("kube-federation-system", "beijing")


def history(database):
    """Return the database's bytes, once the last thing that the run said is in it."""
    stored = b"".join(p.read_bytes() for p in database.parent.glob("prefect.db*"))
    return (
        stored
        if b"deploy caller shanghai" in stored and b"beijing: join: refused" in stored
        else None
    )


def secrets(folder, world):
    """Return every secret of the run as text, and in the forms that it takes on its way."""
    keys = [p.read_text() for p in folder.rglob("*key.pem")]
    assert len(keys) == 3
    lines = [line for key in keys for line in key.splitlines() if "-----" not in line]
    in_clusters = [
        value
        for cluster in world.kubes.values()
        for m in cluster.store.values()
        if isinstance(m, dict) and m["kind"] == "Secret"
        for key, value in m["data"].items()
        if key not in ("ca.crt", "root-cert.pem", "ca-cert.pem", "cert-chain.pem") and value
    ]
    assert len(in_clusters) >= 3
    return [CANARY, *lines, *(value[:60] for value in in_clusters)]


def test_another_root_is_never_put_under_a_mesh_that_runs(world, folders):
    build()
    shutil.rmtree(state.folder("pair") / "ca")
    before = world.writes()
    with pytest.raises(Rejected, match="another root CA") as caught:
        build()
    assert caught.value.hint and caught.value.cluster == "beijing"
    assert world.writes() == before
