"""diagnose names what is wrong with how istiod reads the remotes."""

import pytest
from snapshots import DAY, NOW, certificate, changed, healthy, probed

from isthmus.diagnosis.analyzers import (
    remote_logins,
    remote_secrets,
    remote_servers,
    remote_tokens,
)
from isthmus.diagnosis.snapshot import TokenFacts, TokenLogin

MODULES = (remote_secrets, remote_logins, remote_tokens, remote_servers)
NAME = "istio-remote-secret-shanghai"
READER = "system:serviceaccount:istio-system:istio-reader-service-account"


def diagnose(snapshot, wanted=""):
    every = [c for module in MODULES for c in module.ANALYZERS]
    found = [failure for check in every for failure in check.run(snapshot)]
    return [f for f in found if f.id == wanted] if wanted else found


def with_secret(snapshot=None, more=(), **fields):
    """Return a mesh whose secret for shanghai has other fields, and with more secrets."""
    snapshot = snapshot or healthy()
    secrets = snapshot.host.remote_secrets
    made = [s.model_copy(update=fields) if s.key == "shanghai" else s for s in secrets]
    return changed(snapshot, "beijing", remote_secrets=[*made, *more])


def secret_of(snapshot=None):
    return (snapshot or healthy()).host.remote_secrets[0]


def unread(snapshot, key="shanghai", status=None):
    """Return a mesh whose istiod does not have a cluster, or has it in some state."""
    [istiod] = snapshot.host.istiods
    rest = [c for c in istiod.clusters if c["id"] != key]
    rest += [{"id": key, "secretName": "x", "syncStatus": status}] if status else []
    return changed(snapshot, "beijing", istiods=[istiod.model_copy(update={"clusters": rest})])


@pytest.mark.parametrize("arguments", [(1,), (2,), (1, "guide"), (2, "istio-1.31", "direct")])
def test_a_healthy_mesh_has_no_finding(arguments):
    assert diagnose(healthy(*arguments)) == []


def test_a_deleted_remote_secret_is_missed():
    snapshot = healthy(2)
    kept = [s for s in snapshot.host.remote_secrets if s.key != "shanghai"]
    [found] = diagnose(changed(snapshot, "beijing", remote_secrets=kept))
    assert (found.id, found.clusters, found.fix) == ("F05", ("shanghai",), "isthmus up pair")
    assert found.object == f"Secret istio-system/{NAME}"


@pytest.mark.parametrize(
    "fields",
    [
        {"errors": {"remote secrets": "403 Forbidden"}},
        {"reachable": False},
    ],
)
def test_secrets_that_could_not_be_listed_are_not_missing(fields):
    snapshot = changed(healthy(), "beijing", remote_secrets=[], **fields)
    assert diagnose(snapshot) == []


def test_an_istiod_that_reads_files_needs_no_remote_secrets():
    snapshot = healthy()
    env = {"PILOT_MULTICLUSTER_KUBECONFIG_PATH": "/etc/clusters"}
    istiod = snapshot.host.istiods[0].model_copy(update={"env": env})
    assert diagnose(changed(snapshot, "beijing", istiods=[istiod], remote_secrets=[])) == []


def test_a_remote_secret_in_another_namespace_is_named_with_how_to_move_it():
    [found] = diagnose(with_secret(namespace="default"), "F05")
    assert found.evidence[0] == "namespace in beijing: default, where istiod reads istio-system"
    assert found.fix.splitlines() == [
        "isthmus up pair",
        f"kubectl --context beijing -n default delete secret {NAME}",
    ]


def test_a_copy_in_another_namespace_is_no_failure():
    copy = secret_of().model_copy(update={"namespace": "backup"})
    assert diagnose(with_secret(more=[copy])) == []


def test_a_remote_secret_without_its_label_is_named_with_the_label():
    [found] = diagnose(with_secret(labelled=False), "F05")
    assert "label istio/multiCluster: missing, or not true" in found.evidence
    assert found.fix == (
        f"kubectl --context beijing -n istio-system label secret {NAME} "
        "istio/multiCluster=true --overwrite"
    )


def test_a_remote_secret_of_another_annotation_is_a_warning_and_of_none_is_none():
    [found] = diagnose(with_secret(annotation="hangzhou"), "F05")
    assert found.severity == "warning"
    assert found.evidence == (
        "annotation networking.istio.io/cluster: hangzhou",
        "key: shanghai",
    )
    assert diagnose(with_secret(annotation="")) == []


def test_a_remote_secret_that_holds_no_kubeconfig_is_named():
    broken = with_secret(error="KeyError: no kubeconfig", server="", user_kind="")
    [found] = diagnose(broken)
    assert (found.id, found.fix) == ("F05", "isthmus up pair")
    assert found.evidence == ("content of its key shanghai: KeyError: no kubeconfig",)


def test_two_secrets_with_one_key_are_named_and_the_one_of_isthmus_stays():
    second = secret_of().model_copy(update={"name": "handmade", "written_at": NOW})
    [found] = diagnose(with_secret(more=[second]))
    assert (found.id, found.severity) == ("F08", "warning")
    assert found.fix == "kubectl --context beijing -n istio-system delete secret handmade"


def test_two_secrets_with_one_key_and_different_clusters_are_an_error():
    login = secret_of().login.model_copy(update={"uid": "another"})
    second = secret_of().model_copy(update={"name": "handmade", "login": login})
    assert diagnose(with_secret(more=[second]))[0].severity == "error"


def test_one_cluster_by_two_ids_is_named():
    second = secret_of().model_copy(update={"name": "old", "key": "hangzhou", "annotation": ""})
    [found] = diagnose(with_secret(more=[second]))
    assert (found.id, found.severity, found.clusters) == ("F08", "error", ("shanghai",))
    assert "hangzhou and shanghai" in found.cause
    assert found.fix == "kubectl --context beijing -n istio-system delete secret old"


def test_different_clusters_may_have_a_secret_each():
    assert diagnose(healthy(5)) == []


def test_a_secret_of_the_host_for_itself_is_named():
    host = healthy().host
    login = secret_of().login.model_copy(update={"uid": host.uid})
    own = {"login": login, "annotation": "", "server": host.server}
    named = secret_of().model_copy(update={"name": "x", "key": "beijing", **own})
    [found] = diagnose(with_secret(more=[named]))
    assert (found.id, found.severity, found.clusters) == ("F08", "warning", ("beijing",))
    away = named.model_copy(update={"server": "https://127.0.0.1:6443", "user_kind": "none"})
    assert [f.id for f in diagnose(with_secret(more=[away]))] == ["F08"]
    other = secret_of().model_copy(update={"name": "x", "key": "main", **own})
    [found] = diagnose(with_secret(more=[other]))
    assert (found.id, found.severity) == ("F08", "error")
    assert found.fix == "kubectl --context beijing -n istio-system delete secret x"


def test_an_expired_token_is_named_with_its_end():
    token = TokenFacts(subject=READER, issued_at=NOW - 9 * DAY, expires_at=NOW - 2 * DAY)
    login = TokenLogin(asked=True, status=401, message="Unauthorized")
    [found] = diagnose(with_secret(token=token, login=login))
    assert (found.id, found.severity, found.certain) == ("F03", "error", True)
    assert found.evidence[0] == (
        "its token's exp: 2026-09-19 14:13:20 UTC, 2 days before the snapshot"
    )
    assert found.fix.splitlines() == [
        "kubectl --context shanghai -n istio-system delete secret "
        "istio-reader-service-account-isthmus --ignore-not-found",
        "isthmus up pair",
    ]


def test_a_revoked_token_is_told_with_the_answer_and_all_that_it_may_mean():
    login = TokenLogin(asked=True, status=401, message="Unauthorized")
    [found] = diagnose(with_secret(login=login))
    assert (found.id, found.clusters, found.certain) == ("F03", ("shanghai",), False)
    assert "https://172.16.1.10:6443 answers 401: Unauthorized" in found.evidence
    assert "revoked" in found.cause and "signing keys" in found.cause


def test_a_refused_secret_of_another_name_is_deleted_so_that_the_key_is_not_there_twice():
    login = TokenLogin(asked=True, status=401, message="Unauthorized")
    [found] = diagnose(with_secret(name="handmade", login=login))
    assert "kubectl --context beijing -n istio-system delete secret handmade" in found.fix


def test_a_login_that_nobody_answered_is_no_refusal():
    assert diagnose(with_secret(login=TokenLogin(message="timed out"))) == []


@pytest.mark.parametrize("kind", ["exec", "none", "basic"])
def test_a_kind_of_user_that_istiod_refuses_is_named(kind):
    snapshot = unread(with_secret(user_kind=kind, token=None, login=TokenLogin()))
    [found] = diagnose(snapshot)
    assert (found.id, found.severity) == ("F03", "error")
    assert "token in the kubeconfig itself" in found.cause


def test_a_kind_of_user_with_which_istiod_has_read_the_cluster_is_no_failure():
    assert diagnose(with_secret(user_kind="exec", token=None, login=TokenLogin())) == []
    oidc = with_secret(user_kind="auth-provider", token=None, login=TokenLogin())
    assert diagnose(unread(oidc, status="syncing")) == []


def test_missing_permissions_of_the_reader_are_listed():
    login = secret_of().login.model_copy(update={"denied": ("list pods", "list endpoints")})
    [found] = diagnose(with_secret(login=login))
    assert (found.id, found.severity, found.fix) == ("F24", "error", "isthmus up pair")
    assert "list pods, list endpoints" in found.evidence[0]


def test_another_account_gets_the_readers_role():
    user = "system:serviceaccount:ops:watcher"
    login = secret_of().login.model_copy(update={"denied": ("list pods",), "user": user})
    [found] = diagnose(with_secret(login=login))
    assert found.fix == (
        "kubectl --context shanghai create clusterrolebinding istio-reader-watcher "
        "--clusterrole=istio-reader-clusterrole-istio-system --serviceaccount=ops:watcher"
    )


def test_secrets_that_the_reader_may_not_read_are_a_warning():
    login = secret_of().login.model_copy(update={"denied": ("list secrets",)})
    snapshot = with_secret(login=login)
    assert [f.severity for f in diagnose(snapshot)] == ["warning"]
    env = {"PILOT_ENABLE_REMOTE_CREDENTIALS_CONTROLLER": "false"}
    istiod = snapshot.host.istiods[0].model_copy(update={"env": env})
    assert diagnose(changed(snapshot, "beijing", istiods=[istiod])) == []


def test_an_istiod_in_each_remote_reviews_tokens_itself():
    denied = ("create tokenreviews.authentication.k8s.io", "list secrets")
    snapshot = healthy(stack="guide")
    login = secret_of(snapshot).login.model_copy(update={"denied": denied})
    assert diagnose(with_secret(snapshot, login=login)) == []


def test_a_token_without_an_end_of_another_account_is_a_warning():
    token = TokenFacts(subject="system:serviceaccount:ops:admin")
    [found] = diagnose(with_secret(token=token))
    assert (found.id, found.severity) == ("F36", "warning")
    assert "has no exp" in found.evidence[0]


def test_a_token_in_the_last_third_of_its_life_is_a_warning_and_before_it_is_none():
    def token(left):
        return TokenFacts(subject=READER, issued_at=NOW - 30 * DAY, expires_at=NOW + left)

    [found] = diagnose(with_secret(token=token(10 * DAY)))
    assert (found.id, found.severity) == ("F36", "warning")
    assert "in 10 days" in found.evidence[0]
    assert diagnose(with_secret(token=token(20 * DAY))) == []


@pytest.mark.parametrize(
    ("server", "word"),
    [
        ("https://127.0.0.1:6443", "loopback"),
        ("https://[::1]:6443", "loopback"),
        ("https://localhost:6443", "loopback"),
        ("https://0.0.0.0:40001", "loopback"),
        ("http://172.16.1.10:8080", "http://"),
        ("172.16.1.10:6443", "no URL"),
        ("", "no URL"),
        ("https://[broken", "no URL"),
    ],
)
def test_a_server_that_no_pod_can_use_is_named_by_its_url(server, word):
    [found] = diagnose(unread(with_secret(server=server)))
    assert (found.id, found.clusters) == ("F06", ("shanghai",))
    assert word in found.cause
    assert "set `server` of shanghai in the environment file" in found.fix


def test_a_server_by_which_istiod_has_read_the_cluster_is_not_judged_by_its_url():
    assert diagnose(with_secret(server="https://127.0.0.1:6443")) == []


def api(probe):
    return probe.purpose == "api-server"


def test_an_api_server_that_the_hosts_pods_do_not_reach_is_named_with_the_way():
    lost = {"connected": False, "error": "Connection timed out", "error_at": "tcp"}
    [found] = diagnose(probed(healthy(), api, certificates=(), **lost))
    assert (found.id, found.certain) == ("F06", True)
    assert found.clusters == ("beijing", "shanghai")
    assert found.evidence == (
        "sample/sleep-5b-1 in beijing to 172.16.1.10:6443: Connection timed out",
        "this machine got an answer there: status 201",
    )
    assert "firewall" in found.cause
    assert "-n sample exec sleep-5b-1 -c istio-proxy -- curl -k -m 5" in found.fix


def test_an_api_server_that_nobody_reaches_may_be_down():
    lost = {"connected": False, "error": "Connection refused", "error_at": "tcp"}
    snapshot = with_secret(probed(healthy(), api, **lost), login=TokenLogin(message="refused"))
    snapshot = changed(snapshot, "shanghai", reachable=False, objects={})
    [found] = diagnose(snapshot)
    assert (found.certain, found.evidence[-1]) == (False, "nor does shanghai answer this machine")
    assert "either the API server is down, or" in found.cause


def test_a_way_that_was_not_tried_says_nothing():
    assert diagnose(probed(healthy(), api, connected=False, skipped="no curl")) == []


def test_a_chain_of_another_ca_than_the_secrets_is_named():
    proxy = certificate("CN=proxy CA", is_ca=True)
    leaf = certificate("CN=proxy", proxy, sans=("172.16.1.10",))
    [found] = diagnose(probed(healthy(), api, certificates=(leaf, proxy)))
    assert found.id == "F06"
    assert "issued by CN=proxy CA" in found.evidence[0]
    assert "CN=kubernetes-ca-shanghai" in found.evidence[1]
    assert found.cause.startswith("x509: certificate signed by unknown authority")


def test_a_new_ca_of_the_same_name_is_another_ca():
    same_name = certificate("CN=kubernetes-ca-shanghai", is_ca=True, key="new")
    leaf = certificate("CN=kube-apiserver", same_name, sans=("172.16.1.10",))
    assert [f.id for f in diagnose(probed(healthy(), api, certificates=(leaf,)))] == ["F06"]


def test_an_intermediate_between_the_ca_and_the_server_is_no_failure():
    [authority] = secret_of().authority
    middle = certificate("CN=middle", authority, is_ca=True)
    leaf = certificate("CN=kube-apiserver", middle, sans=("172.16.1.10",))
    assert diagnose(probed(healthy(), api, certificates=(leaf, middle))) == []


def test_a_certificate_for_other_names_is_named_with_its_names():
    [authority] = secret_of().authority
    leaf = certificate("CN=kube-apiserver", authority, sans=("10.0.0.1", "api.example"))
    [found] = diagnose(probed(healthy(), api, certificates=(leaf,)))
    assert found.evidence == (
        "172.16.1.10:6443 presents a certificate for: 10.0.0.1, api.example",
        "istiod asks for 172.16.1.10",
    )
    snapshot = with_secret(healthy(), tls_server_name="api.example")
    assert diagnose(probed(snapshot, api, certificates=(leaf,))) == []
