"""Provider kce against a stub of the cloud's API: nothing twice, nothing left, nothing told."""

import json
import logging
import stat

import kce as stub
import pytest
from fakes import FakeKube, limit
from kce import COMMON, of

from isthmus import polling, providers, state
from isthmus.adapters import kube
from isthmus.errors import ClusterUnreachable, NotReady, Rejected, Unprepared
from isthmus.providers.kce import credentials, payloads
from isthmus.providers.kce.provider import KceProvider

NAMES = ("beijing", "shanghai")


class Clusters:
    """The API servers of the cloud's clusters, each known by its kubeconfig's content."""

    def __init__(self):
        self.kubes, self.expired = {}, set()

    def connect(self, access):
        text = access.kubeconfig.read_text()
        identity = access.context.removeprefix("context-")
        if text in self.expired:
            raise Rejected("HTTP 401 Unauthorized", cluster=access.cluster)
        if identity not in self.kubes:
            made = FakeKube(access)
            meta = {"name": "kube-system", "uid": f"uid-{identity}"}
            made.put({"apiVersion": "v1", "kind": "Namespace", "metadata": meta})
            self.kubes[identity] = made
        return self.kubes[identity]


@pytest.fixture
def clusters(monkeypatch):
    made = Clusters()
    monkeypatch.setattr(kube, "connect", made.connect)
    monkeypatch.setattr(kube, "clear_clients", lambda: None)
    return made


def ensure(environment):
    provider = providers.get_provider(environment)
    provider.check(environment)
    return [provider.ensure(environment, cluster) for cluster in environment.clusters]


def test_clusters_are_bought_each_in_its_region_and_can_be_reached(cloud, clusters):
    host, remote = ensure(of())
    [created, far] = cloud.asked("CreateCluster")
    assert (created["Region"], far["Region"]) == ("cn-beijing-6", "cn-shanghai-2")
    assert created["ClusterName"] == "pair_beijing"
    assert created["ClusterDesc"] == "isthmus/environment=pair isthmus/cluster=beijing"
    assert (created["VpcId"], created["ReserveSubnetId"]) == ("v1", "r1")
    assert (created["K8sVersion"], created["ExposePublicApiServer"]) == ("v1.32.3", "true")
    node = json.loads(created["InstanceForNode.1.NodeConfig.1.Para"])
    assert (node["InstanceType"], node["MinCount"], node["MaxCount"]) == ("S6.4B", 2, 2)
    identities = [c["ClusterId"] for c in cloud.clusters.values()]
    assert [host.uid, remote.uid] == [f"uid-{identity}" for identity in identities]
    assert [host.member, remote.member] == identities
    for access in (host, remote):
        assert stat.S_IMODE(access.kubeconfig.stat().st_mode) == 0o600
        assert stat.S_IMODE(access.kubeconfig.parent.stat().st_mode) == 0o700


def test_where_isthmus_makes_the_federation_clusters_have_their_own_names_in_it(cloud, clusters):
    accesses = ensure(of(kce={**COMMON, "federation": "isthmus"}))
    assert [access.member_name for access in accesses] == list(NAMES)


def test_a_second_build_buys_nothing_and_asks_for_no_other_kubeconfig(cloud, clusters):
    first = ensure(of())
    assert ensure(of()) == first
    assert len(cloud.asked("CreateCluster")) == len(cloud.asked("DownloadClusterConfig")) == 2


def test_without_this_folder_the_clusters_are_found_again(cloud, clusters, folders, monkeypatch):
    first = ensure(of())
    monkeypatch.setenv("ISTHMUS_HOME", str(folders / "another"))
    assert [a.uid for a in ensure(of())] == [a.uid for a in first]
    assert len(cloud.asked("CreateCluster")) == 2


@pytest.mark.parametrize("trouble", ["lost", "cut"])
def test_a_cluster_whose_creation_got_no_answer_is_not_bought_twice(cloud, clusters, trouble):
    getattr(cloud, trouble)["CreateCluster"] = 1
    cloud.hidden = 3
    ensure(of())
    assert len(cloud.asked("CreateCluster")) == len(cloud.clusters) == 2


def test_what_may_have_been_bought_is_for_a_person_to_decide(cloud, clusters, monkeypatch):
    limit(monkeypatch, cloud=0.3)
    cloud.failing["CreateCluster"] = 1
    with pytest.raises(Rejected, match="the cluster is not listed after") as caught:
        ensure(of())
    assert caught.value.cluster == "beijing" and "isthmus up pair" in caught.value.hint
    assert len(cloud.asked("CreateCluster")) == 1
    ensure(of())
    assert len(cloud.clusters) == 2


def test_a_cluster_that_appears_after_its_run_gave_up_is_the_next_runs(
    cloud, clusters, monkeypatch
):
    limit(monkeypatch, cloud=0.3)
    cloud.lost["CreateCluster"], cloud.hidden = 1, 10_000
    with pytest.raises(Rejected):
        ensure(of())
    for cluster in cloud.clusters.values():
        cluster["hidden"] = 5
    cloud.hidden = 0
    ensure(of())
    assert len(cloud.named("pair_beijing")) == 1


@pytest.mark.parametrize("action", stub.VERSIONS)
def test_a_throttled_request_is_tried_again(cloud, clusters, action):
    cloud.throttled[action] = 3
    ensure(of())
    KceProvider().delete(of())
    assert cloud.clusters == {}
    assert [e["answer"] for e in cloud.asked(action)].count("Throttling") == 3


def test_an_api_that_only_throttles_is_given_up_and_nothing_was_bought(
    cloud, clusters, monkeypatch
):
    limit(monkeypatch, cloud=0.1)
    cloud.throttled["CreateCluster"] = 10_000
    with pytest.raises(ClusterUnreachable, match=r"CreateCluster: Throttling: too many requests"):
        ensure(of())
    assert cloud.clusters == {}


@pytest.mark.parametrize("trouble", ["failing", "lost", "cut"])
@pytest.mark.parametrize("action", [name for name in stub.VERSIONS if name != "CreateCluster"])
def test_a_request_that_got_no_answer_is_sent_again(cloud, clusters, action, trouble):
    getattr(cloud, trouble)[action] = 2
    ensure(of())
    KceProvider().delete(of())
    assert cloud.clusters == {}


@pytest.mark.parametrize("trouble", ["failing", "lost", "cut"])
def test_an_api_that_does_not_answer_is_worth_another_run(cloud, clusters, monkeypatch, trouble):
    limit(monkeypatch, cloud=0.1)
    getattr(cloud, trouble)["DescribeCluster"] = 10_000
    with pytest.raises(
        ClusterUnreachable, match="KCE in cn-beijing-6 to DescribeCluster; last seen"
    ):
        ensure(of())
    getattr(cloud, trouble)["DescribeCluster"] = 0
    ensure(of())


def test_a_purchase_that_fails_half_way_goes_on_or_goes_back(cloud, clusters):
    cloud.refused = {"pair_shanghai"}
    with pytest.raises(Rejected, match="InsufficientQuota: no more clusters for you") as caught:
        ensure(of())
    assert "request " in caught.value.message
    assert [line.split(":")[0] for line in KceProvider().planned_purchases(of())] == ["shanghai"]
    cloud.refused = set()
    ensure(of())
    assert len(cloud.clusters) == 2
    cloud.refused = {"pair_xian"}
    more = stub.content()["remotes"]
    more += [{"name": "xian", "region": "cn-northwest-1", "kce": stub.SITE}]
    with pytest.raises(Rejected):
        ensure(of(remotes=more))
    KceProvider().delete(of(remotes=more))
    assert cloud.clusters == {}


def test_a_cluster_that_ends_in_error_is_told_and_can_be_taken_away(cloud, clusters):
    cloud.broken = {"pair_shanghai"}
    with pytest.raises(Rejected, match="cn-shanghai-2 is error") as caught:
        ensure(of())
    assert caught.value.cluster == "shanghai" and "isthmus down pair" in caught.value.hint
    KceProvider().delete(of())
    assert cloud.clusters == {}


def test_a_cluster_that_is_never_ready_is_given_up_in_the_end(cloud, clusters, monkeypatch):
    limit(monkeypatch, cluster=0.1)
    cloud.polls = 10_000
    with pytest.raises(NotReady, match=r"timed out after .* to run.*last seen: creating"):
        ensure(of())
    assert len(cloud.clusters) == 1


def test_nothing_is_left_of_an_environment_or_of_half_of_one(cloud, clusters):
    ensure(of())
    cloud.put("pair_xian", "isthmus/environment=pair isthmus/cluster=xian")
    KceProvider().delete(of())
    assert cloud.clusters == {}
    assert {e["InstanceDeleteMode"] for e in cloud.asked("DeleteCluster")} == {"Terminate"}
    KceProvider().delete(of())


def test_one_cluster_is_let_go_and_the_others_stay(cloud, clusters):
    ensure(of())
    KceProvider().release(of(), of().remotes[0])
    assert [c["ClusterName"] for c in cloud.clusters.values()] == ["pair_beijing"]
    KceProvider().release(of(), of().remotes[0])


def test_clusters_in_a_region_that_the_file_has_no_more_are_found_too(cloud, clusters):
    ensure(of())
    moved = of(remotes=[{"name": "xian", "region": "cn-northwest-1", "kce": stub.SITE}])
    KceProvider().delete(moved)
    assert cloud.clusters == {}


def test_a_cluster_that_is_still_being_made_is_deleted_as_soon_as_kce_takes_it(cloud, clusters):
    cloud.polls = 6
    cloud.put("pair_beijing", payloads.cluster_description("pair", "beijing"), "creating")
    next(iter(cloud.clusters.values()))["left"] = 6
    KceProvider().delete(of())
    assert cloud.clusters == {}
    assert "InvalidClusterStatus" in [e["answer"] for e in cloud.asked("DeleteCluster")]


def test_a_cluster_that_appears_only_when_its_run_is_dead_is_deleted_too(
    cloud, clusters, monkeypatch
):
    limit(monkeypatch, cloud=0.3)
    cloud.lost["CreateCluster"], cloud.hidden = 1, 10_000
    with pytest.raises(Rejected):
        ensure(of())
    for cluster in cloud.clusters.values():
        cluster["hidden"] = 5
    KceProvider().delete(of())
    assert cloud.clusters == {}


def test_load_balancers_that_a_cluster_bought_go_before_it(cloud, clusters):
    ensure(of())
    balanced = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "istio-eastwestgateway", "namespace": "istio-system"},
        "spec": {"type": "LoadBalancer"},
    }
    inside = {**balanced, "metadata": {"name": "dns", "namespace": "kube-system"}, "spec": {}}
    for cluster in clusters.kubes.values():
        cluster.put(balanced)
        cluster.put(inside)
    KceProvider().delete(of())
    for cluster in clusters.kubes.values():
        assert [s["metadata"]["name"] for s in cluster.objects("Service")] == ["dns"]


def test_a_cluster_that_does_not_answer_is_deleted_all_the_same(cloud, clusters, monkeypatch):
    ensure(of())
    limit(monkeypatch, deletion=0.1)
    for cluster in clusters.kubes.values():
        cluster.failures = [ClusterUnreachable("no answer")] * 50
    KceProvider().delete(of())
    assert cloud.clusters == {}


def test_a_cluster_that_is_not_marked_as_ours_is_neither_used_nor_deleted(cloud, clusters):
    theirs = [
        cloud.put("pair_beijing", "made by hand"),
        cloud.put("pair_shanghai", "isthmus/environment=pair-2 isthmus/cluster=shanghai"),
        cloud.put("apair_beijing", "isthmus/environment=apair isthmus/cluster=beijing"),
    ]
    with pytest.raises(Rejected, match="is not this environment's") as caught:
        ensure(of())
    assert caught.value.hint and caught.value.cluster == "beijing"
    with pytest.raises(Rejected):
        KceProvider().delete(of())
    assert list(cloud.clusters) == theirs and not cloud.asked("CreateCluster")


def test_two_clusters_of_one_name_are_for_a_person_to_sort_out(cloud, clusters):
    for _ in range(2):
        cloud.put("pair_beijing", payloads.cluster_description("pair", "beijing"))
    with pytest.raises(Rejected, match="two clusters pair_beijing"):
        ensure(of())
    KceProvider().delete(of())
    assert cloud.clusters == {}


def test_one_that_is_being_deleted_is_awaited_and_bought_anew(cloud, clusters):
    old = cloud.put("pair_beijing", payloads.cluster_description("pair", "beijing"), "deleting")
    cloud.clusters[old]["left"] = 9
    assert [line.split(":")[0] for line in KceProvider().planned_purchases(of())] == [
        "beijing",
        "shanghai",
    ]
    ensure(of())
    assert old not in cloud.clusters and len(cloud.clusters) == 2


def test_protection_against_deletion_is_told_with_what_to_do(cloud, clusters):
    ensure(of())
    for cluster in cloud.clusters.values():
        cluster["Protected"] = True
    with pytest.raises(Rejected, match="DeleteProtection") as caught:
        KceProvider().delete(of())
    assert "protected against deletion" in caught.value.hint


def test_more_clusters_than_one_answer_holds_are_all_seen(cloud, clusters):
    for number in range(45):
        cloud.put(f"pair_c{number}", payloads.cluster_description("pair", f"c{number}"))
    assert len(KceProvider().planned_deletions(of())) == 45


def test_a_kubeconfig_that_works_no_more_is_fetched_again(cloud, clusters):
    first = ensure(of())[0]
    clusters.expired = {first.kubeconfig.read_text()}
    text = stub.kubeconfig(first.member).replace("canary", "renewed")
    cloud.kubeconfigs["pair_beijing"] = text
    assert KceProvider().access(of(), of().host) == first
    assert first.kubeconfig.read_text() == text


def test_looking_asks_the_cloud_nothing_while_what_is_kept_works(cloud, clusters, monkeypatch):
    first = ensure(of())
    monkeypatch.delenv(credentials.ACCESS_KEY_VARIABLE)
    asked = len(cloud.log)
    assert [KceProvider().access(of(), cluster) for cluster in of().clusters] == first
    assert len(cloud.log) == asked


def test_a_cluster_that_was_never_bought_is_not_ready(cloud, clusters):
    with pytest.raises(NotReady, match="does not exist in KCE") as caught:
        KceProvider().access(of(), of().host)
    assert caught.value.hint == "isthmus up pair"


def test_an_api_server_without_a_public_address_is_told(cloud, clusters, monkeypatch):
    limit(monkeypatch, api_server=0.1)
    cloud.exposed = False
    with pytest.raises(ClusterUnreachable, match="no kubeconfig for public access") as caught:
        ensure(of())
    assert caught.value.cluster == "beijing"


def test_what_will_be_bought_and_deleted_is_told_before(cloud, clusters):
    plan = KceProvider().planned_purchases(of())
    assert plan[0] == (
        "beijing: KCE cluster pair_beijing in cn-beijing-6, Kubernetes v1.32.3, "
        "managed control plane with a public address, 2 x S6.4B, Daily"
    )
    assert len(plan) == 2
    ensure(of())
    assert KceProvider().planned_purchases(of()) == []
    assert KceProvider().planned_purchases(of(), anew=True) == plan
    lines = KceProvider().planned_deletions(of())
    assert [line.split(":")[0] for line in lines] == ["pair_beijing", "pair_shanghai"]


def test_a_version_outside_the_stacks_window_is_refused_before_anything_is_asked(cloud):
    with pytest.raises(Unprepared, match=r"v1.21.3; stack istio-1.31 is for Kubernetes 1.32"):
        KceProvider().check(of(kce={**COMMON, "version": "v1.21.3"}))
    assert cloud.log == []


@pytest.mark.parametrize("name", [credentials.ACCESS_KEY_VARIABLE, credentials.SECRET_KEY_VARIABLE])
def test_without_credentials_nothing_is_asked(cloud, monkeypatch, name):
    monkeypatch.delenv(name)
    with pytest.raises(Unprepared, match="no credentials for Kingsoft Cloud") as caught:
        KceProvider().check(of())
    assert "credentials_block" in caught.value.hint
    assert cloud.log == []


def test_wrong_credentials_are_told_without_their_text(cloud, monkeypatch):
    monkeypatch.setenv(credentials.SECRET_KEY_VARIABLE, "SKwrong7f3c")
    with pytest.raises(Rejected, match="SignatureDoesNotMatch") as caught:
        KceProvider().check(of())
    assert credentials.ACCESS_KEY_VARIABLE in caught.value.hint
    for secret in (stub.ACCESS, "SKwrong7f3c"):
        assert secret not in str(caught.value) + repr(caught.value.__context__)


@pytest.mark.parametrize("as_text", [False, True])
def test_credentials_come_from_a_named_block(cloud, clusters, monkeypatch, as_text):
    content = {"access_key": stub.ACCESS, "secret_key": stub.SECRET}
    asked = []

    def read(name):
        asked.append(name)
        return json.dumps(content) if as_text else content

    monkeypatch.delenv(credentials.ACCESS_KEY_VARIABLE)
    with credentials.use_block_reader(read):
        KceProvider().check(of(kce={**COMMON, "credentials_block": "ksyun"}))
    assert set(asked) == {"ksyun"} and cloud.log


@pytest.mark.parametrize("content", [None, "no json", {"access_key": "a"}, ["a", "b"], "[1]"])
def test_a_block_without_keys_is_told_by_its_name_alone(cloud, content):
    told = pytest.raises(Unprepared, match="is no block ksyun with access_key and secret_key")
    with credentials.use_block_reader(lambda name: content), told:
        KceProvider().check(of(kce={**COMMON, "credentials_block": "ksyun"}))


def test_no_secret_is_logged_or_shown(cloud, clusters, caplog):
    caplog.set_level(logging.DEBUG)
    accesses = ensure(of())
    cloud.throttled["DeleteCluster"] = 1
    KceProvider().delete(of())
    keys = credentials.load_credentials(of())
    told = caplog.text + repr(accesses) + repr(keys) + f"{keys}"
    for secret in (stub.ACCESS, stub.SECRET, "canary-kubeconfig"):
        assert secret not in told


def test_a_stopped_run_stops_waiting_for_the_cloud(cloud, clusters, monkeypatch):
    from isthmus.errors import Stopped

    cloud.polls = 10_000
    calls = iter(range(9))

    def go_on():
        if next(calls) == 5:
            raise Stopped("asked to end")

    monkeypatch.setattr(polling, "raise_if_stopped", go_on)
    with pytest.raises(Stopped):
        ensure(of())
    assert not (state.folder("pair") / "kce" / "beijing.asked").exists()
