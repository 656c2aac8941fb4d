"""What `status` looks at, and how it judges what it sees."""

import json
import time

import pytest
from snapshots import changed, healthy
from stories import access

from isthmus import errors, state
from isthmus.adapters.pod_exec import KubeletUnreachable
from isthmus.cli import cluster_view, environment_argument, status_checks
from isthmus.cli.main import attempt
from isthmus.cli.main import isthmus as group
from isthmus.cli.run_history import RunRecord, write
from isthmus.cli.status_checks import ClusterState, ClusterStatus, ReadyCount
from isthmus.collectors import mesh
from isthmus.environment import ClusterSpec, Environment

ENVIRONMENT = Environment.model_validate(
    {"name": "silk-road", "host": {"name": "beijing"}, "remotes": [{"name": "shanghai"}]}
)
HOST, REMOTE = ENVIRONMENT.clusters
WELL = {
    "version": "v1.36.3",
    "nodes": ReadyCount(1, 1),
    "gateway_pods": ReadyCount(1, 1),
    "gateway_address": "10.0.0.1",
    "istiod": ReadyCount(1, 1),
    "remote_secrets": ("shanghai",),
    "ready_members": ("beijing", "shanghai"),
}


@pytest.fixture(autouse=True)
def shown(monkeypatch):
    """What a cheap diagnosis sees."""
    seen = {"snapshot": healthy()}
    monkeypatch.setattr(mesh, "take_snapshot", lambda environment, proxies: seen["snapshot"])
    return seen


def sights(host=None, remote=None):
    return [
        ClusterStatus(HOST, ClusterState(**{**WELL, **(host or {})})),
        ClusterStatus(
            REMOTE,
            ClusterState(
                **{**WELL, "istiod": ReadyCount(0, 0), "ready_members": (), **(remote or {})}
            ),
        ),
    ]


def failed(seen, environment=ENVIRONMENT):
    found = status_checks.checks(environment, seen)
    return [f"{check.cluster}: {check.name}" for check in found if not check.ok]


def test_a_mesh_that_is_well_has_no_failed_check():
    found = status_checks.checks(ENVIRONMENT, sights())
    assert failed(sights()) == []
    assert status_checks.error(found, sights(), "silk-road") is None
    assert status_checks.document(ENVIRONMENT, sights(), found)["verdict"] == "pass"


@pytest.mark.parametrize(
    ("host", "remote", "expected"),
    [
        ({"nodes": ReadyCount(0, 1)}, {}, ["beijing: nodes"]),
        ({"nodes": ReadyCount(0, 0)}, {}, ["beijing: nodes"]),
        ({"nodes": ReadyCount(1, 2)}, {}, ["beijing: nodes"]),
        ({}, {"unschedulable_nodes": ("n1 (cordoned)",)}, ["shanghai: nodes"]),
        ({"istiod": ReadyCount(0, 1)}, {}, ["beijing: istiod"]),
        ({"istiod": ReadyCount(0, 0)}, {}, ["beijing: istiod"]),
        ({"remote_secrets": ()}, {}, ["shanghai: wired"]),
        ({"ready_members": ("beijing",)}, {}, ["shanghai: federated"]),
        ({"ready_members": ()}, {}, ["beijing: federated", "shanghai: federated"]),
        ({"gateway_address": ""}, {}, ["beijing: gateway"]),
        ({}, {"gateway_address": ""}, ["shanghai: gateway"]),
        ({}, {"gateway_pods": ReadyCount(0, 1)}, ["shanghai: gateway"]),
        ({}, {"gateway_pods": ReadyCount(0, 0)}, ["shanghai: gateway"]),
    ],
)
def test_what_is_not_well_is_named_with_its_cluster(host, remote, expected):
    seen = sights(host, remote)
    assert failed(seen) == expected
    error = status_checks.error(status_checks.checks(ENVIRONMENT, seen), seen, "silk-road")
    assert isinstance(error, errors.Findings)
    assert not any(
        "calls it Ready" in c.text for c in status_checks.checks(ENVIRONMENT, seen) if not c.ok
    )
    assert all(name in str(error) for name in expected)
    assert "isthmus up silk-road" in error.hint


def test_without_kubefed_nobody_needs_to_be_federated():
    direct = ENVIRONMENT.model_copy(update={"federation": "direct"})
    assert failed(sights({"ready_members": ()}), direct) == []


def test_a_cluster_that_does_not_answer_is_69_with_what_was_tried():
    seen = [
        ClusterStatus(HOST, ClusterState(**WELL)),
        ClusterStatus(REMOTE, None, "cannot GET /api/v1: refused", True),
    ]
    error = status_checks.error(status_checks.checks(ENVIRONMENT, seen), seen, "silk-road")
    assert (error.exit_code, failed(seen)) == (69, ["shanghai: reachable"])
    assert "shanghai: cannot GET /api/v1: refused" in str(error)


def test_a_cluster_is_federated_under_the_name_that_the_federation_has_for_it():
    known = ENVIRONMENT.with_members({"beijing": "fcb0f8d3"})
    found = cluster_view.get_cluster_status(known, known.host, lambda *_: Reader())
    seen = ClusterState(**{**WELL, "ready_members": ("fcb0f8d3", "d161c69e")})
    assert found.member == ""
    named = [ClusterStatus(known.host, seen), ClusterStatus(REMOTE, seen, member="d161c69e")]
    assert failed(named, known) == []


def test_a_host_that_does_not_answer_accuses_no_remote():
    seen = [ClusterStatus(HOST, None, "refused", True), sights()[1]]
    assert failed(seen) == ["beijing: reachable"]


class Reader:
    """A cluster as a table of objects."""

    access = access("beijing")
    error = None

    def execute(self, pod, namespace, container, argv):
        assert (namespace, container) == ("istio-system", "istio-proxy")
        if self.error:
            raise self.error

    def __init__(self, *items, secrets=()):
        self.items, self.secrets = items, secrets

    def version(self):
        return "v1.36.3"

    def get(self, kind, name, namespace="", api="v1"):
        assert (kind, namespace) == ("Secret", "istio-system")
        return {"data": {"kubeconfig": "canary"}} if name in self.secrets else None

    def objects(self, kind, namespace="", api="v1", labels=""):
        return [item for k, wanted, item in self.items if k == kind and wanted in ("", labels)]


def condition(name, ready):
    return {
        "metadata": {"name": name},
        "status": {"conditions": [{"type": "Ready", "status": "True" if ready else "False"}]},
    }


def service(**ingress):
    return {"status": {"loadBalancer": {"ingress": [ingress]} if ingress else {}}}


GATEWAY = "istio=eastwestgateway"


def test_looking_counts_what_is_ready():
    reader = Reader(
        ("Node", "", condition("n1", True)),
        ("Node", "", condition("n2", False)),
        ("Pod", GATEWAY, condition("g", True)),
        ("Pod", "app=istiod", condition("i", True)),
        ("Service", GATEWAY, service()),
        ("Service", GATEWAY, service(ip="10.0.0.9")),
        ("KubeFedCluster", "", condition("beijing", True)),
        ("KubeFedCluster", "", condition("shanghai", False)),
        secrets=["istio-remote-secret-shanghai"],
    )
    assert cluster_view.read_cluster_state(reader, ENVIRONMENT, HOST) == ClusterState(
        "v1.36.3",
        ReadyCount(1, 2),
        ReadyCount(1, 1),
        "10.0.0.9",
        ReadyCount(1, 1),
        ("shanghai",),
        ("beijing",),
    )


@pytest.mark.parametrize(
    ("spec", "closed"),
    [
        ({}, ()),
        ({"unschedulable": True}, ("n1 (cordoned)",)),
        ({"taints": [{"key": "a/b", "effect": "NoExecute"}]}, ("n1 (taint a/b:NoExecute)",)),
        ({"taints": [{"key": "a/b", "effect": "PreferNoSchedule"}]}, ()),
    ],
)
def test_a_cluster_whose_nodes_take_no_pod_is_seen_as_such(spec, closed):
    node = {**condition("n1", True), "spec": spec}
    assert (
        cluster_view.read_cluster_state(
            Reader(("Node", "", node)), ENVIRONMENT, REMOTE
        ).unschedulable_nodes
        == closed
    )
    others = Reader(("Node", "", node), ("Node", "", condition("n2", True)))
    assert cluster_view.read_cluster_state(others, ENVIRONMENT, REMOTE).unschedulable_nodes == ()


UNREACHED = KubeletUnreachable("does not reach the node's kubelet at a:10250", hint="open it")


@pytest.mark.parametrize(
    ("error", "deaf"),
    [
        (None, ()),
        (UNREACHED, ("does not reach the node's kubelet at a:10250; open it",)),
        (errors.Rejected("pods/exec is forbidden"), ()),
        (errors.NotReady("the pod is gone"), ()),
    ],
)
def test_kubelets_that_the_api_server_does_not_reach_are_told(error, deaf):
    node, pod = condition("n1", True), condition("g", True)
    reader = Reader(("Node", "", node), ("Pod", GATEWAY, pod), ("Pod", GATEWAY, pod))
    reader.error = error
    seen = cluster_view.read_cluster_state(reader, ENVIRONMENT, REMOTE)
    assert seen.unreachable_kubelets == deaf
    [check] = [
        c
        for c in status_checks.checks(ENVIRONMENT, [ClusterStatus(REMOTE, seen)])
        if c.name == "nodes"
    ]
    assert check.ok == (not deaf) and all(said in check.text for said in deaf)


def test_an_empty_cluster_is_seen_as_empty():
    nothing = ReadyCount(0, 0)
    seen = cluster_view.read_cluster_state(Reader(), ENVIRONMENT, HOST)
    assert seen == ClusterState("v1.36.3", nothing, nothing, "", nothing)
    assert cluster_view.read_cluster_state(
        Reader(("Node", "", {})), ENVIRONMENT, REMOTE
    ).nodes == ReadyCount(0, 1)


def test_a_load_balancer_may_have_a_name_instead_of_an_address():
    reader = Reader(("Service", GATEWAY, service(hostname="lb.example.com")))
    assert (
        cluster_view.read_cluster_state(reader, ENVIRONMENT, REMOTE).gateway_address
        == "lb.example.com"
    )


@pytest.mark.parametrize(
    ("error", "unreachable"),
    [(errors.ClusterUnreachable("refused"), True), (errors.NotReady("no such region"), False)],
)
def test_a_cluster_that_cannot_be_asked_is_seen_with_the_reason(error, unreachable):
    def refuse(environment, cluster):
        raise error

    assert cluster_view.get_cluster_status(ENVIRONMENT, HOST, refuse) == ClusterStatus(
        HOST, None, error.message, unreachable
    )


@pytest.fixture
def isthmus(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("ISTHMUS_HOME", str(tmp_path))
    environment_argument.save(ENVIRONMENT)

    def run(*arguments):
        code, _ = attempt(lambda: group.main(args=list(arguments), standalone_mode=False))
        return code, *capsys.readouterr()

    return run


def tree(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*")}


def test_status_prints_every_check_and_writes_nothing(isthmus, monkeypatch, tmp_path):
    monkeypatch.setattr(
        cluster_view,
        "get_cluster_statuses",
        lambda environment: sights({"istiod": ReadyCount(0, 1)}),
    )
    before = tree(tmp_path)
    code, out, err = isthmus("status", "silk-road")
    assert code == 79
    assert "x istiod     0 of 1 ready" in out or "✗ istiod     0 of 1 ready" in out
    assert "beijing: istiod" in err
    assert tree(tmp_path) == before


def test_status_with_json_is_one_document_with_sorted_keys(isthmus, monkeypatch):
    monkeypatch.setattr(cluster_view, "get_cluster_statuses", lambda environment: sights())
    write(RunRecord("silk-road", "up", 1.0, 4.5, "beijing: no answer", ()))
    code, out, err = isthmus("status", "silk-road", "-o", "json")
    document = json.loads(out)
    assert (code, err) == (0, "")
    assert list(document) == sorted(document)
    assert (document["kind"], document["verdict"], document["busy"]) == ("Status", "pass", False)
    assert document["lastRun"] == {"verb": "up", "seconds": 3.5, "outcome": "beijing: no answer"}
    assert document["clusters"][1]["gateway"] == "10.0.0.1"


def test_status_says_when_a_run_is_at_work(isthmus, monkeypatch):
    from isthmus import file_lock

    monkeypatch.setattr(cluster_view, "get_cluster_statuses", lambda environment: sights())
    with file_lock.acquire("silk-road"):
        assert "a run is in progress" in isthmus("status", "silk-road")[1]
        assert json.loads(isthmus("status", "silk-road", "-o", "json")[1])["busy"] is True
    assert "at work" not in isthmus("status", "silk-road")[1]


def test_status_names_what_the_file_has_no_longer_and_what_ends_it(isthmus, monkeypatch):
    from isthmus import environment_store

    monkeypatch.setattr(cluster_view, "get_cluster_statuses", lambda environment: sights())
    delhi = ClusterSpec(name="delhi", region="delhi", network="network3")
    before = ENVIRONMENT.model_copy(update={"remotes": [REMOTE, delhi]})
    for was in (before, ENVIRONMENT):
        environment_store.save(was)
    assert "delhi is to be removed: isthmus up silk-road" in isthmus("status", "silk-road")[1]
    assert json.loads(isthmus("status", "silk-road", "-o", "json")[1])["leaving"] == ["delhi"]
    environment_store.delete_removal_record("silk-road", "delhi")
    assert "delhi" not in isthmus("status", "silk-road")[1]


def test_status_shows_the_steps_of_the_last_run(isthmus):
    from isthmus.timeline import Step

    assert isthmus("status", "silk-road", "--steps")[0] == 79
    write(
        RunRecord("silk-road", "up", 0.0, 2.0, "done", (Step("a", "wire", "shanghai", 0.0, 2.0),))
    )
    assert (
        "critical path: 2.0 s of 2.0 s: wire (shanghai)"
        in isthmus("status", "silk-road", "--steps")[1]
    )
    document = json.loads(isthmus("status", "silk-road", "--steps", "-o", "json")[1])
    assert (document["kind"], document["criticalPath"]) == ("Run", ["a"])


def test_three_clusters_are_looked_at_host_first(monkeypatch):
    three = Environment.model_validate(
        {"name": "x", "host": {"name": "a"}, "remotes": [{"name": "b"}, {"name": "c"}]}
    )
    monkeypatch.setattr(cluster_view, "connect", lambda environment, cluster: Reader())
    found = cluster_view.get_cluster_statuses(three)
    assert [sight.cluster.name for sight in found] == ["a", "b", "c"]
    assert isinstance(found[0].cluster, ClusterSpec)


def test_every_cluster_is_asked_with_what_the_command_may_use(monkeypatch):
    """Such as the block of the cloud's credentials: clusters are asked in threads."""
    from isthmus.providers.kce import credentials

    def status(environment, cluster, connect):
        return ClusterStatus(cluster, None, credentials._block_reader.get()("block"), True)

    monkeypatch.setattr(cluster_view, "get_cluster_status", status)
    with credentials.use_block_reader(lambda name: f"content of {name}"):
        found = cluster_view.get_cluster_statuses(ENVIRONMENT)
    assert [s.error_message for s in found] == ["content of block"] * len(ENVIRONMENT.clusters)


def proven(verdict, first="", ago=600):
    from isthmus import environment_store

    environment_store.record_proof("silk-road", verdict, 200, first)
    path = state.folder("silk-road") / "proof.json"
    told = json.loads(path.read_text())
    path.write_text(json.dumps({**told, "at": told["at"] - ago}))


@pytest.fixture
def well(isthmus, monkeypatch):
    monkeypatch.setattr(cluster_view, "get_cluster_statuses", lambda environment: sights())
    return isthmus


def test_status_says_when_traffic_was_last_proven_and_by_how_much(well):
    assert "traffic    not proven here yet: isthmus verify" in well("status", "silk-road")[1]
    proven("pass")
    code, out, _ = well("status", "silk-road")
    assert code == 0
    assert "traffic    proven 10 min ago, 200 requests; status itself sends none" in out


def test_a_mesh_whose_last_traffic_failed_is_not_green(well):
    proven("fail", "beijing -> shanghai: no answer")
    code, out, err = well("status", "silk-road")
    assert code == 79
    assert "NOT proven 10 min ago, 200 requests: beijing -> shanghai: no answer" in out
    assert "isthmus diagnose silk-road" in err
    document = json.loads(well("status", "silk-road", "-o", "json")[1])
    assert (document["verdict"], document["traffic"]["verdict"]) == ("fail", "fail")


def test_what_a_cheap_diagnosis_shows_is_red_with_its_id(well, shown):
    shown["snapshot"] = changed(healthy(), "beijing", remote_secrets=[])
    code, out, err = well("status", "silk-road")
    assert code == 79
    assert "F05        shanghai: " in out
    assert "silk-road: F05 shanghai" in err and "isthmus diagnose silk-road" in err
    document = json.loads(well("status", "silk-road", "-o", "json")[1])
    assert document["findings"][0]["link"] == "docs/diagnosis.md#f05"


def test_what_ends_within_ninety_days_is_told_and_json_has_all(well, shown):
    cacerts = shown["snapshot"].cluster("shanghai").cacerts
    soon = cacerts.signing.model_copy(update={"not_after": time.time() + 80 * 86400 + 60})
    shown["snapshot"] = changed(
        shown["snapshot"], "shanghai", cacerts=cacerts.model_copy(update={"signing": soon})
    )
    _, out, _ = well("status", "silk-road")
    assert "expiry     shanghai: intermediate CA in 80 days" in out
    listed = json.loads(well("status", "silk-road", "-o", "json")[1])["expiry"]
    assert {"root CA", "intermediate CA", "reader token"} <= {entry["what"] for entry in listed}


def test_a_proof_that_is_damaged_is_none(well):
    proven("pass")
    (state.folder("silk-road") / "proof.json").write_text("{")
    assert "not proven here yet" in well("status", "silk-road")[1]
