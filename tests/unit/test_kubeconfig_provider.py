"""Provider kubeconfig: what it asks and probes before anything is built, and what it refuses."""

import base64
import json
import re
import threading

import pytest
from fakes import FakeKube, limit

from isthmus import providers
from isthmus.adapters import connectivity, cross_cluster_access, kube
from isthmus.adapters.diff import ENVIRONMENT_LABEL, KEEP
from isthmus.environment import Environment
from isthmus.errors import BadEnvironment, ClusterUnreachable, Rejected, Unprepared
from isthmus.providers.kubeconfig import KubeconfigProvider, pod_probes, probe_namespace

ADDRESSES = {"one": "198.18.0.3", "two": "198.18.1.3"}
READY = {"conditions": [{"type": "Ready", "status": "True"}]}
ROOT = "root CA of "
TOKEN = "canary-token-of-an-account"


class Existing(FakeKube):
    """A cluster with a node, a load balancer and pods that reach whatever is not in `closed`."""

    def __init__(self, access):
        super().__init__(access)
        self.name, self.version = access.cluster, "v1.36.3"
        self.forbidden, self.closed, self.called, self.scripts = set(), set(), [], []
        self.asked, self.balances, self.lock = [], True, threading.RLock()
        self.reactions, self.program = [self._control], self._curl
        size = {"cpu": "4", "memory": "8Gi"}
        self.put(thing("Node", "n", status={"allocatable": size, "capacity": size}, spec={}))
        self.put(
            thing("ConfigMap", "kube-root-ca.crt", "kube-system", data={"ca.crt": ROOT + self.name})
        )
        self.put(thing("Namespace", "kube-system", metadata_more={"uid": f"uid of {self.name}"}))

    def request(self, method, path, body=None, content=""):
        with self.lock:
            if method != "POST" or self.failures:
                return super().request(method, path, body, content)
            assert path == "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
            asked = body["spec"]["resourceAttributes"]
            part = f"/{asked['subresource']}" if "subresource" in asked else ""
            right = f"{asked['verb']} {asked['resource']}{part}"
            self.asked.append(right)
            return {"status": {"allowed": right not in self.forbidden}}

    def stand(self, without=""):
        """Have a gateway of the environment; `without` is what a build did not come to."""
        self.put(thing("Namespace", "istio-system", labels={ENVIRONMENT_LABEL: "theirs"}))
        status = {"loadBalancer": {"ingress": [{"ip": ADDRESSES[self.name]}]}}
        self.put(thing("Service", "istio-eastwestgateway", "istio-system", status=status))
        for name, labels in {"istio-eastwestgateway": {}, "istiod": {"app": "istiod"}}.items():
            count = 0 if name == without else 1
            parts = ("replicas", "updatedReplicas", "availableReplicas")
            done = {**dict.fromkeys(parts, count), "observedGeneration": 1}
            meta = {"generation": 1}
            made = thing(
                "Deployment", name, "istio-system", labels, meta, spec={"replicas": 1}, status=done
            )
            self.put({**made, "apiVersion": "apps/v1"})
        if without != "Gateway":
            servers = {"servers": [{"port": {"number": 15443}}]}
            made = thing("Gateway", "cross-network-gateway", "istio-system", spec=servers)
            self.put({**made, "apiVersion": "networking.istio.io/v1"})

    def spaces(self):
        return [m["metadata"]["name"] for m in self.objects("Namespace")]

    def _control(self, cluster, made):
        meta = made["metadata"]
        if made["kind"] == "Namespace":
            self.put(thing("ServiceAccount", "default", meta["name"]))
        if made.get("type") == "kubernetes.io/service-account-token":
            self.put({**made, "data": {"token": base64.b64encode(TOKEN.encode()).decode()}})
        if made["kind"] == "Pod":
            self.put({**made, "status": READY})
        if made["kind"] == "Service" and self.balances:
            status = {"loadBalancer": {"ingress": [{"ip": ADDRESSES[self.name]}]}}
            self.put({**made, "status": status})

    def _curl(self, pod, argv):
        assert (pod, argv[:2]) == ("caller", ["sh", "-c"])
        self.called.append((argv[3], argv[5] if "--cacert" in argv[2] else ""))
        self.scripts.append(argv[2])
        if argv[3] in self.closed:
            return "000", "curl: (28) Connection timed out\n"
        return "200", ""


def thing(kind, name, namespace="", labels=None, metadata_more=None, **more):
    meta = {"name": name, "labels": labels or {}, **(metadata_more or {})}
    meta |= {"namespace": namespace} if namespace else {}
    return {"apiVersion": "v1", "kind": kind, "metadata": meta, **more}


@pytest.fixture
def environment(tmp_path):
    """Return a function that makes the environment; `two` are more keys of the remote."""

    def cluster(name, **more):
        path = tmp_path / name
        document = {
            "clusters": [{"name": "c", "cluster": {"server": f"https://{name}:6443"}}],
            "users": [{"name": "u", "user": {"token": "t"}}],
            "contexts": [{"name": name, "context": {"cluster": "c", "user": "u"}}],
        }
        path.write_text(json.dumps(document))
        return {"name": name, "kubeconfig": str(path), "context": name, **more}

    def make(federation="kubefed", **two):
        clusters = {"host": cluster("one"), "remotes": [cluster("two", **two)]}
        return Environment.model_validate(
            {"name": "theirs", "provider": "kubeconfig", "federation": federation, **clusters}
        )

    return make


@pytest.fixture
def clusters(monkeypatch):
    """Two clusters with which nothing is wrong; waits are short."""
    made = {}

    def connect(access):
        if access.cluster not in made:
            made[access.cluster] = Existing(access)
        return made[access.cluster]

    def reach(client):
        return f"https://{client.name}:6443", client.version

    monkeypatch.setattr(kube, "connect", connect)
    monkeypatch.setattr(connectivity, "get_server_version", reach)
    monkeypatch.setattr(connectivity, "tcp_error", lambda address, port: "")
    monkeypatch.setattr(cross_cluster_access, "token_login_error", lambda access, token, own: "")
    limit(monkeypatch, load_balancer=0, answer=0, connect=0)
    return connect


@pytest.fixture
def one(clusters, environment):
    return clusters(access_of(environment, 0))


@pytest.fixture
def two(clusters, environment):
    return clusters(access_of(environment, 1))


def access_of(environment, number):
    from isthmus.providers.kubeconfig.provider import _build_access

    whole = environment()
    return _build_access(whole.clusters[number])


def refused(environment):
    with pytest.raises((Unprepared, BadEnvironment, ClusterUnreachable, Rejected)) as caught:
        KubeconfigProvider().check(environment)
    return caught.value


def test_sound_clusters_are_taken_and_keep_nothing(environment, one, two):
    before = [sorted(c.store) for c in (one, two)]
    KubeconfigProvider().check(environment())
    assert [sorted(c.store) for c in (one, two)] == before
    assert one.writes and two.writes, "they were probed"


def test_pods_of_the_host_call_every_api_server_and_gateways_are_called_from_everywhere(
    environment, one, two
):
    KubeconfigProvider().check(environment())
    assert sorted(one.called) == [
        ("http://198.18.1.3:15443/", ""),
        ("https://one:6443/version", ROOT + "one"),
        ("https://two:6443/version", ROOT + "two"),
    ]
    ports = [f"http://198.18.0.3:{port}/" for port in (15012, 15017, 15443)]
    assert sorted(url for url, _ in two.called) == ports


def test_without_kubefed_nobody_calls_the_hosts_api_server(environment, one, two):
    KubeconfigProvider().check(environment("direct"))
    assert "https://one:6443/version" not in dict(one.called)


def test_the_address_that_the_file_gives_is_the_one_that_is_called(environment, one, two):
    KubeconfigProvider().check(environment(server="https://10.1.2.3:6443"))
    called = dict(one.called)
    assert "https://10.1.2.3:6443/version" in called and "https://two:6443/version" not in called


def test_the_address_that_the_file_gives_is_the_one_that_the_mesh_gets(environment, one, two):
    whole = environment(server="https://10.1.2.3:6443")
    access = KubeconfigProvider().access(whole, whole.remotes[0])
    assert (access.server, access.uid) == ("https://10.1.2.3:6443", "uid of two")


@pytest.mark.parametrize("version", ["v1.31.9", "v1.37.0", "v1.21.14"])
def test_a_version_outside_the_stacks_window_is_refused(environment, one, two, version):
    two.version = version
    found = refused(environment())
    assert re.search(f"{version}.*1.32 to 1.36", found.message)
    assert found.cluster == "two" and found.hint


def test_one_cluster_under_two_names_is_refused(environment, one, two):
    two.put(thing("Namespace", "kube-system", metadata_more={"uid": "uid of one"}))
    found = refused(environment())
    assert type(found) is BadEnvironment and "same cluster as one" in found.message


def test_every_missing_file_is_named(environment, tmp_path):
    whole = environment()
    for name in ("one", "two"):
        (tmp_path / name).unlink()
    found = refused(whole)
    assert type(found) is Unprepared
    assert re.search(r"- one: .*no such file.*\n.*\n- two: ", found.message)


def test_an_administrator_is_asked_one_question(environment, one, two):
    KubeconfigProvider().check(environment())
    assert one.asked == ["* *"]


def test_each_right_that_is_missing_is_named(environment, one, two):
    two.forbidden = {"* *", "create pods", "escalate clusterroles"}
    found = refused(environment())
    assert found.cluster == "two" and "create pods (core)" in found.message
    assert "escalate clusterroles (rbac.authorization.k8s.io)" in found.message
    assert len(found.message.split(", ")) == 2


def test_who_may_not_read_is_told_so_and_asked_no_more(environment, one, two):
    two.forbidden = {"* *", "list *"}
    assert "list * (*)" in refused(environment()).message


def test_a_kubeconfig_that_gives_no_credentials_is_told(environment, one, two):
    anonymous = Rejected('cannot POST: HTTP 403: User "system:anonymous" cannot', cluster="two")
    two.failures = [anonymous]
    assert "`exec`" in refused(environment()).hint


def test_everything_that_is_wrong_anywhere_is_told_at_once(environment, one, two):
    one.version = "v1.37.0"
    one.put(thing("Namespace", "sample"))
    two.forbidden = {"* *", "create pods"}
    found = refused(environment())
    assert type(found) is Unprepared and [p.cluster for p in found.causes] == ["one", "one", "two"]
    for said in ("v1.37.0", "Namespace sample", "create pods"):
        assert said in str(found)
    assert one.writes == two.writes == []


def test_only_clusters_with_which_nothing_is_wrong_are_probed(environment, one, two):
    one.version, two.balances = "v1.37.0", False
    found = refused(environment())
    assert [p.cluster for p in found.causes] == ["one", "two"]
    assert one.writes == [] and two.writes != []


def test_a_server_on_loopback_is_refused_unless_another_address_is_given(
    environment, one, two, monkeypatch
):
    near = "https://127.0.0.1:6443"
    monkeypatch.setattr(connectivity, "get_server_version", lambda access: (near, "v1.36.3"))
    found = refused(environment("direct"))
    assert type(found) is BadEnvironment and found.cluster == "two"
    KubeconfigProvider().check(environment("direct", server="https://two:6443"))


RANCHER = "HTTP 401: must authenticate"


def test_an_address_that_takes_no_token_of_a_serviceaccount_is_told_before_anything_is_built(
    environment, one, two, monkeypatch
):
    asked = []

    def refuse(access, token, own):
        asked.append((access.cluster, token, own))
        return RANCHER if access.cluster == "two" else ""

    monkeypatch.setattr(cross_cluster_access, "token_login_error", refuse)
    found = refused(environment("direct", server="https://rancher.example/k8s/clusters/c-1"))
    assert asked == [("two", TOKEN, ROOT + "two")], "nobody logs in at the host without KubeFed"
    assert type(found) is BadEnvironment and found.cluster == "two"
    assert (
        "https://rancher.example/k8s/clusters/c-1 rejects a token of its ServiceAccounts "
        f"({RANCHER}" in (found.message)
    )
    assert "authorized cluster endpoint" in found.hint and "config get-contexts" in found.hint
    assert TOKEN not in str(found)
    assert probe_namespace.NAMESPACE not in one.spaces() + two.spaces()


def test_with_kubefed_the_hosts_own_address_must_take_such_tokens_too(
    environment, one, two, monkeypatch
):
    monkeypatch.setattr(cross_cluster_access, "token_login_error", lambda access, *_: RANCHER)
    assert [p.cluster for p in refused(environment()).causes] == ["one", "two"]


def test_pods_know_an_api_server_by_all_that_its_kubeconfig_says(environment, one, two, tmp_path):
    path = tmp_path / "two"
    whole = environment("direct")
    document = json.loads(path.read_text())
    more = {"certificate-authority-data": base64.b64encode(b"CA of a proxy").decode()}
    more |= {"server": "https://[fd00::1]/k8s", "tls-server-name": "api.two"}
    document["clusters"][0]["cluster"] |= more
    path.write_text(json.dumps(document))
    KubeconfigProvider().check(whole)
    called = dict(one.called)
    assert called["https://api.two:6443/version"] == f"CA of a proxy\n{ROOT}two"
    assert any("--connect-to '::two:6443'" in script for script in one.scripts)


def test_a_load_balancer_that_gives_no_address_is_refused_and_nothing_stays(environment, one, two):
    two.balances = False
    found = refused(environment())
    assert found.cluster == "two" and "no address" in found.message
    assert probe_namespace.NAMESPACE not in one.spaces() + two.spaces()


def test_probes_are_as_a_clusters_keepers_want_pods(environment, one, two):
    seen = []
    two.reactions.append(lambda cluster, made: made["kind"] == "Pod" and seen.append(made["spec"]))
    limits = {"resources": {"limits": {"cpu": "1"}}}
    wanted = environment().model_dump() | {"pods": {"container": limits}}
    KubeconfigProvider().check(Environment.model_validate(wanted))
    containers = [container for spec in seen for container in spec["containers"]]
    assert containers and all(c["resources"] == limits["resources"] for c in containers)


def test_a_cluster_that_refuses_pods_with_a_sidecar_is_told_and_nothing_stays(
    environment, one, two
):
    def refuse(manifest):
        [init] = manifest["spec"]["initContainers"]
        assert init["name"] == "istio-init" and init["image"].endswith("/proxyv2:1.31.0")
        said = 'pods "injected" is forbidden: violates PodSecurity "baseline:latest": NET_ADMIN'
        raise Rejected(f"PATCH /api/v1/...: HTTP 403: {said}")

    two.tried = refuse
    found = refused(environment())
    assert found.cluster == "two" and 'violates PodSecurity "baseline:latest"' in found.message
    assert "pod-security.kubernetes.io/enforce: privileged" in found.hint
    assert "istio-system, sample" in found.hint
    assert probe_namespace.NAMESPACE not in one.spaces() + two.spaces()
    cni = {"host": {"components": {"cni": {"enabled": True}}}}
    wanted = environment().model_dump() | {"overlays": cni}
    KubeconfigProvider().check(Environment.model_validate(wanted))


def test_in_a_namespace_that_was_handed_over_the_pods_that_are_to_run_there_are_tried(
    environment, one, two
):
    labels = {ENVIRONMENT_LABEL: "theirs", KEEP: "true"}
    for cluster in (one, two):
        for space in ("istio-system", "sample"):
            cluster.put(thing("Namespace", space, labels=labels))
    seen = []

    def look(manifest):
        meta = manifest["metadata"]
        seen.append((meta["namespace"], meta["name"]))
        if meta["name"] == "gateway":
            raise Rejected('HTTP 403: pods "gateway" is forbidden: exceeded quota: theirs')

    two.tried = look
    wanted = environment().model_dump() | {"federation": "direct"}
    found = refused(Environment.model_validate(wanted))
    assert found.cluster == "two" and "exceeded quota: theirs" in found.message
    assert "istio-system" in found.hint
    where = [("isthmus-probe", "injected"), ("istio-system", "gateway"), ("sample", "injected")]
    assert set(seen) <= set(where) and where[1] in seen, "a remote has no istiod"
    mine = thing("Deployment", "istiod", "istio-system", labels={ENVIRONMENT_LABEL: "theirs"})
    two.put(mine | {"apiVersion": "apps/v1", "spec": {"replicas": 1}, "status": {}})
    KubeconfigProvider().check(Environment.model_validate(wanted))


def test_ways_that_lead_nowhere_are_all_named(environment, one, two):
    one.closed = {"https://two:6443/version", "http://198.18.1.3:15443/"}
    found = refused(environment())
    assert type(found) is BadEnvironment, "the file may have to say another address"
    assert sorted(p.cluster for p in found.causes) == ["one", "two"]
    assert "pods of one do not reach its API server" in str(found)
    assert "its pods do not reach two's load balancer" in str(found)


def test_a_machine_that_does_not_reach_the_host_is_told(environment, one, two, monkeypatch):
    monkeypatch.setattr(connectivity, "tcp_error", lambda address, port: f"{address}:{port} is far")
    found = refused(environment())
    assert found.cluster == "one" and "198.18.0.3:15012 is far" in found.message


def test_what_a_killed_run_left_is_removed_first(environment, one, two):
    old = thing("Namespace", "isthmus-probe", labels={"isthmus/probe": "true"})
    one.put(old)
    KubeconfigProvider().check(environment())
    assert one.writes[0] == "DELETE /api/v1/namespaces/isthmus-probe"
    assert probe_namespace.NAMESPACE not in one.spaces()


def test_where_all_gateways_stand_nothing_is_written(environment, one, two):
    one.stand()
    two.stand()
    KubeconfigProvider().check(environment())
    assert one.writes == two.writes == [] and one.called == two.called == []


def test_the_namespace_that_a_join_made_in_a_remote_is_no_leftover(environment, one, two):
    one.stand()
    two.stand()
    one.put(thing("Namespace", "kube-federation-system", labels={ENVIRONMENT_LABEL: "theirs"}))
    two.put(thing("Namespace", "kube-federation-system"))
    KubeconfigProvider().check(environment())


def test_another_federation_in_the_host_is_refused(environment, one, two):
    one.put(thing("Namespace", "kube-federation-system"))
    assert "kube-federation-system" in refused(environment()).message


def test_beside_a_gateway_that_stands_only_what_is_new_is_probed(environment, one, two):
    one.stand()
    KubeconfigProvider().check(environment())
    assert not any("services" in write for write in one.writes)
    assert any("services" in write for write in two.writes)
    assert "http://198.18.0.3:15443/" in dict(two.called)


@pytest.mark.parametrize("without", ["istio-eastwestgateway", "istiod", "Gateway"])
def test_a_gateway_that_a_build_left_half_made_need_not_listen_yet(
    environment, one, two, without, monkeypatch
):
    one.stand(without)
    one.closed = two.closed = {"http://198.18.0.3:15443/", "http://198.18.0.3:15012/"}
    monkeypatch.setattr(connectivity, "tcp_error", lambda address, port: "connection refused")
    KubeconfigProvider().check(environment())
    assert not {*two.closed} & {url for url, _ in two.called}


def test_a_remotes_gateway_need_not_listen_before_the_host_says_where(environment, one, two):
    two.stand()
    one.closed = {"http://198.18.1.3:15443/"}
    KubeconfigProvider().check(environment())


def test_a_gateway_that_has_all_it_needs_must_listen(environment, one, two):
    one.stand()
    two.closed = {"http://198.18.0.3:15443/"}
    assert "do not reach one's load balancer" in refused(environment()).message


def test_a_failure_on_the_way_leaves_no_probe(environment, one, two, monkeypatch):
    def fail(*_):
        raise RuntimeError("a bug")

    monkeypatch.setattr(pod_probes, "_probe_connections", fail)
    with pytest.raises(RuntimeError):
        KubeconfigProvider().check(environment())
    assert probe_namespace.NAMESPACE not in one.spaces() + two.spaces()


def test_what_was_just_looked_at_is_not_looked_at_again(environment, one, two):
    whole = environment()
    with providers.checked(whole):
        providers.check_unless_checked(whole)
        assert one.writes == []
    providers.check_unless_checked(whole)
    assert one.writes != [], "a later run looks for itself"


def test_clusters_are_left_when_an_environment_goes(environment, one):
    KubeconfigProvider().delete(environment())
    assert not KubeconfigProvider().disposable and one.writes == []
