"""Provider kind, with stand-ins for docker, kind and cloud-provider-kind on PATH."""

import json
import stat
import uuid
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache

import pytest
import yaml
from dockers import DOWN, Engine, begin, changing
from fakes import FakeKube, limit

from isthmus import polling, state
from isthmus.adapters import kube, kubeconfigs, processes
from isthmus.environment import Environment
from isthmus.errors import ClusterUnreachable, NotReady, Rejected, Unprepared
from isthmus.providers.kind import cloud_provider
from isthmus.providers.kind.provider import KindProvider

DENIED = "permission denied while trying to connect to the Docker daemon socket"


@pytest.fixture
def engine(folders, monkeypatch):
    """Docker as this machine has it; no other test's cloud-provider-kind is seen."""
    monkeypatch.setattr(cloud_provider, "PROGRAM", f"cloud-provider-kind-{uuid.uuid4().hex}")
    made = Engine(folders, cloud_provider.PROGRAM)
    monkeypatch.setenv("PATH", str(made.bin))
    monkeypatch.setenv("KUBECONFIG", str(folders / "own"))
    (folders / "own").write_text("the user's")
    monkeypatch.setattr(kube, "connect", lru_cache(Server))
    limit(monkeypatch, api_server=0.5)
    yield made
    for process in processes.find_by_name(cloud_provider.PROGRAM):
        processes.terminate(process, 5)
    assert (folders / "own").read_text() == "the user's"


class Server(FakeKube):
    """An API server that answers to the keys that its cluster has now, and to no earlier ones."""

    def __init__(self, access):
        super().__init__(access)
        self.keys = access.kubeconfig.read_text()
        self.put({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "kube-system"}})

    def request(self, *what):
        if self.keys != self.access.kubeconfig.read_text():
            raise ClusterUnreachable("unknown certificate authority")
        return super().request(*what)


def environment(name="pair", remote="shanghai", **more):
    return Environment.model_validate(
        {
            "name": name,
            "provider": "kind",
            "host": {"name": "beijing", "region": "cn-beijing-6"},
            "remotes": [{"name": remote}],
            **more,
        }
    )


def built(of=None):
    """Make every cluster, side by side as a flow does."""
    of = of or environment()
    with ThreadPoolExecutor() as pool:
        return list(pool.map(lambda cluster: KindProvider().ensure(of, cluster), of.clusters))


def balanced(engine, **clusters):
    """Let cloud-provider-kind have made a load balancer for each of these clusters."""
    engine["balancers"] = {f"kindccm-{name}": of for name, of in clusters.items()}


def running():
    return processes.find_by_name(cloud_provider.PROGRAM)


def awaken(engine):
    """Wait until cloud-provider-kind listens to being told to end."""
    polling.until(
        lambda: engine["balancing"] if "balancing" in keys(engine) else None, "it", timeout=30
    )


def keys(engine):
    return json.loads(engine.file.read_text())


def test_a_cluster_is_made_once_however_often_it_is_asked_for(engine):
    first, again = built(), built()
    assert first == again
    assert engine.clusters() == ["pair-beijing", "pair-shanghai"]
    assert len(engine.calls("kind create")) == 2
    assert len(running()) == 1


def test_its_kubeconfig_is_its_owners_alone_and_not_the_users_own(engine):
    for access in built():
        assert stat.S_IMODE(access.kubeconfig.stat().st_mode) == 0o600
        assert state.folder("pair") in access.kubeconfig.parents
        assert access.context == f"kind-pair-{access.cluster}"
        assert access.uid


def test_other_clusters_reach_it_by_its_address_in_docker_and_this_machine_by_its_port(engine):
    for access in built():
        node = engine["nodes"][f"pair-{access.cluster}-control-plane"]
        assert kubeconfigs.server(access)[0] == f"https://{node['ip']}:6443"
        merged = kubeconfigs.merge([access], access.kubeconfig.parent / "merged")
        assert "https://127.0.0.1:" in merged.read_text()


def test_its_node_has_a_kubernetes_of_the_stack_and_the_clusters_region(engine):
    built()
    config = yaml.safe_load(engine["nodes"]["pair-beijing-control-plane"]["config"])
    assert (config["kind"], config["apiVersion"]) == ("Cluster", "kind.x-k8s.io/v1alpha4")
    [node] = config["nodes"]
    assert node["image"] == "kindest/node:v1.36.4"
    assert node["labels"] == {"topology.kubernetes.io/region": "cn-beijing-6"}


def test_its_node_has_the_image_that_the_environment_names(engine):
    built(environment(kind={"image": "mirror.example:5000/node:v1.35.2"}))
    assert "image: mirror.example:5000/node:v1.35.2" in str(engine["nodes"])


def test_a_node_that_was_stopped_runs_again_and_is_reached_where_it_is_now(engine):
    [before, _] = built()
    with changing(engine.file) as now:
        now["nodes"]["pair-beijing-control-plane"]["ip"] = ""
    with pytest.raises(NotReady, match="is stopped") as caught:
        KindProvider().access(environment(), environment().host)
    assert caught.value.hint == "docker start pair-beijing-control-plane"
    [after, _] = built()
    assert (before.server, after.server) != (after.server, before.server)
    assert after == KindProvider().access(environment(), environment().host)
    assert len(engine.calls("kind create")) == 2


def test_one_whose_making_was_interrupted_is_made_anew(engine):
    cut = environment(kind={"image": "kindest/crash:v1.36.3"})
    with pytest.raises(Rejected):
        KindProvider().ensure(cut, cut.host)
    half = engine["nodes"]["pair-beijing-control-plane"]
    with pytest.raises(NotReady, match="never created"):
        KindProvider().access(cut, cut.host)
    KindProvider().check(environment())
    built()
    assert engine["nodes"]["pair-beijing-control-plane"]["id"] != half["id"]


def test_one_that_was_deleted_by_hand_is_made_anew(engine):
    built()
    engine["nodes"] = {}
    with pytest.raises(NotReady) as caught:
        KindProvider().access(environment(), environment().host)
    assert caught.value.hint == "isthmus up pair"
    built()
    assert engine.clusters() == ["pair-beijing", "pair-shanghai"]


def test_down_leaves_nothing_and_touches_nobody_elses(engine):
    with changing(engine.file) as now:
        begin(now, "dev")
    built()
    balanced(engine, a="pair-beijing", b="pair-shanghai")
    awaken(engine)
    KindProvider().delete(environment())
    assert engine.clusters() == ["dev"]
    assert engine["balancers"] == {}
    assert running() == []
    assert not list(state.folder("pair").iterdir())
    assert [p.suffix for p in state.home().iterdir() if p.is_file()] == [".lock"]
    KindProvider().delete(environment())


def test_of_one_that_leaves_nothing_stays_and_the_other_is_as_it_was(engine):
    built()
    balanced(engine, a="pair-beijing", b="pair-shanghai")
    awaken(engine)
    KindProvider().release(environment(), environment().remotes[0])
    assert engine.clusters() == ["pair-beijing"]
    assert [b for b in engine["balancers"].values() if b == "pair-shanghai"] == []
    assert engine["balancers"] != {}
    KindProvider().release(environment(), environment().remotes[0])
    assert KindProvider().access(environment(), environment().host).uid


def test_down_also_takes_what_an_interrupted_up_has_left(engine):
    cut = environment(kind={"image": "kindest/crash:v1.36.3"})
    with pytest.raises(Rejected):
        KindProvider().ensure(cut, cut.host)
    KindProvider().delete(cut)
    assert engine.clusters() == []


def test_down_of_what_was_never_built_needs_no_docker(engine):
    for name in ("docker", "kind", cloud_provider.PROGRAM):
        engine.remove(name)
    KindProvider().delete(environment())


def test_load_balancers_go_even_if_their_cluster_went_before(engine):
    built()
    balanced(engine, a="pair-beijing")
    engine["nodes"] = {}
    KindProvider().delete(environment())
    assert engine["balancers"] == {}


def test_addresses_come_from_the_cloud_provider_kind_that_runs_already_and_it_stays(engine):
    theirs = processes.detach(
        [str(engine.bin / cloud_provider.PROGRAM), "--gateway-channel", "disabled"],
        engine.bin / "log",
    )
    awaken(engine)
    engine.remove(cloud_provider.PROGRAM)
    KindProvider().check(environment())
    built()
    assert running() == [theirs]
    KindProvider().delete(environment())
    assert running() == [theirs]


def test_one_that_died_is_started_again(engine):
    built()
    awaken(engine)
    [dead] = running()
    processes.terminate(dead, 30)
    built()
    assert running() and running() != [dead]


def test_ours_stays_while_another_environment_is_there(engine):
    built(environment("one"))
    built(environment("two"))
    [ours] = running()
    awaken(engine)
    KindProvider().delete(environment("one"))
    assert running() == [ours]
    KindProvider().delete(environment("two"))
    assert running() == []


def test_ours_stays_while_a_cluster_of_somebody_else_has_an_address_from_it(engine, told):
    built()
    awaken(engine)
    balanced(engine, a="pair-beijing", dev="dev")
    KindProvider().delete(environment())
    assert len(running()) == 1
    assert engine["balancers"] == {"kindccm-dev": "dev"}


def test_what_this_machine_has_is_enough(engine):
    KindProvider().check(environment())
    built()
    KindProvider().check(environment())


def cripple(engine, lack):
    match lack:
        case "dead" | "denied":
            engine["down"] = DOWN if lack == "dead" else DENIED
        case "desktop":
            engine["system"] = "Docker Desktop"
        case "old":
            engine["old"] = True
        case "clash":
            with changing(engine.file) as now:
                begin(now, "pair-beijing")
        case name:
            engine.remove(cloud_provider.PROGRAM if name == "balancer" else name)


@pytest.mark.parametrize(
    ("lack", "seen", "advice"),
    [
        ("kind", "no kind on PATH", "go install sigs.k8s.io/kind@latest"),
        ("docker", "no docker on PATH", "install Docker Engine"),
        ("dead", DOWN, "sudo systemctl start docker"),
        ("denied", "you may not use Docker", "usermod -aG docker"),
        ("desktop", "this machine cannot reach its nodes", "use Docker Engine on Linux"),
        (
            "balancer",
            " on PATH, and none is running",
            "go install sigs.k8s.io/cloud-provider-kind@",
        ),
        ("old", "too old: it does not know --gateway-channel", "@latest"),
        ("clash", "kind cluster pair-beijing exists", "kind delete cluster --name pair-beijing"),
    ],
)
def test_what_is_lacking_is_told_with_what_to_do_before_anything_is_changed(
    engine, lack, seen, advice
):
    cripple(engine, lack)
    before = engine["nodes"]
    with pytest.raises(Unprepared) as caught:
        KindProvider().check(environment())
    assert seen in caught.value.message
    assert advice in caught.value.message
    assert "nothing was changed" in caught.value.message
    assert caught.value.hint == "then again: isthmus up pair"
    assert engine["nodes"] == before
    assert not state.folder("pair").exists()


def test_all_that_is_lacking_is_told_at_once(engine):
    for name in ("kind", "docker"):
        engine.remove(name)
    with pytest.raises(Unprepared) as caught:
        KindProvider().check(environment(kind={"image": "kindest/node:v1.30.0"}))
    for lack in ("no kind", "no docker", "node:v1.30.0: stack istio-1.31 is for Kubernetes 1.32"):
        assert lack in caught.value.message


def test_an_image_whose_version_its_tag_hides_is_taken(engine):
    KindProvider().check(environment(kind={"image": "mirror.example:5000/node:latest"}))


def test_a_cluster_that_somebody_made_under_our_name_is_neither_used_nor_deleted(engine):
    built()
    with changing(engine.file) as now:
        begin(now, "pair-beijing")
    with pytest.raises(Unprepared, match="this environment did not create it") as caught:
        built()
    assert caught.value.cluster == "beijing"
    with pytest.raises(Unprepared, match="kind cluster pair-beijing exists"):
        KindProvider().check(environment())
    KindProvider().delete(environment())
    assert engine.clusters() == ["pair-beijing"]


def test_two_environments_whose_names_run_together_do_not_share_a_cluster(engine):
    built(environment("a", remote="b-c"))
    with pytest.raises(Unprepared, match="kind cluster a-b-c exists"):
        KindProvider().check(environment("a-b", remote="c"))


def test_an_image_that_cannot_be_pulled_is_told_with_the_key_to_change(engine):
    lost = environment(kind={"image": "kindest/missing:v1.36.3"})
    with pytest.raises(Rejected, match="failed to pull image") as caught:
        KindProvider().ensure(lost, lost.host)
    assert "`kind: {image: ...}`" in caught.value.hint
