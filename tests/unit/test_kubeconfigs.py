"""Merged kubeconfigs: each cluster by its own name, whatever the files called it."""

import base64
import json
import stat

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import NameOID

from isthmus import certificates
from isthmus.adapters import kube_client, kubeconfigs
from isthmus.errors import Unprepared
from isthmus.step_results import Access


@pytest.fixture
def theirs(tmp_path):
    """Two files that use the same names for different clusters, with other files beside them."""
    accesses = []
    for name in ("beijing", "shanghai"):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "ca.crt").write_text(f"CA of {name}")
        cluster = {"server": f"https://{name}:6443", "certificate-authority": "ca.crt"}
        document = {
            "clusters": [{"name": "kubernetes", "cluster": cluster}],
            "users": [{"name": "admin", "user": {"token": f"token of {name}"}}],
            "contexts": [
                {"name": "other", "context": {"cluster": "gone", "user": "admin"}},
                {"name": "admin@k", "context": {"cluster": "kubernetes", "user": "admin"}},
            ],
        }
        path = folder / "config"
        path.write_text(yaml.safe_dump(document))
        accesses.append(Access(cluster=name, kubeconfig=path, context="admin@k"))
    return accesses


def test_each_cluster_is_reached_by_a_context_of_its_name(theirs, tmp_path):
    path = kubeconfigs.merge(theirs, tmp_path / "merged")
    merged = yaml.safe_load(path.read_text())
    assert [c["name"] for c in merged["contexts"]] == ["beijing", "shanghai"]
    assert merged["current-context"] == "beijing"
    servers = {c["name"]: c["cluster"]["server"] for c in merged["clusters"]}
    assert servers == {"beijing": "https://beijing:6443", "shanghai": "https://shanghai:6443"}
    tokens = {u["name"]: u["user"]["token"] for u in merged["users"]}
    assert tokens == {"beijing": "token of beijing", "shanghai": "token of shanghai"}


def test_it_needs_none_of_the_files_that_it_came_from(theirs, tmp_path):
    merged = yaml.safe_load(kubeconfigs.merge(theirs, tmp_path / "merged").read_text())
    for entry in merged["clusters"]:
        assert "certificate-authority" not in entry["cluster"]
        content = base64.b64decode(entry["cluster"]["certificate-authority-data"])
        assert content.decode() == f"CA of {entry['name']}"


def test_it_is_its_owners_alone_and_written_only_when_it_changes(theirs, tmp_path):
    path = kubeconfigs.merge(theirs, tmp_path / "merged")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    before = path.stat().st_ino
    assert kubeconfigs.merge(theirs, path).stat().st_ino == before
    assert kubeconfigs.merge(theirs[:1], path).stat().st_ino != before


def test_the_files_that_it_came_from_stay_as_they_are(theirs, tmp_path):
    before = [a.kubeconfig.read_text() for a in theirs]
    kubeconfigs.merge(theirs, tmp_path / "merged")
    assert [a.kubeconfig.read_text() for a in theirs] == before


def test_a_server_is_told_with_its_authority(theirs):
    server, authority = kubeconfigs.server(theirs[1])
    assert server == "https://shanghai:6443"
    assert base64.b64decode(authority) == b"CA of shanghai"


def test_other_clusters_reach_it_where_its_access_says(theirs, tmp_path):
    access = theirs[1].model_copy(update={"server": "https://192.0.2.7:6443"})
    server, authority = kubeconfigs.server(access)
    assert server == "https://192.0.2.7:6443"
    assert base64.b64decode(authority) == b"CA of shanghai"
    merged = yaml.safe_load(kubeconfigs.merge([access], tmp_path / "merged").read_text())
    assert merged["clusters"][0]["cluster"]["server"] == "https://shanghai:6443"


@pytest.mark.parametrize(
    ("context", "missing"), [("nobody", "no context 'nobody'"), ("other", "no cluster 'gone'")]
)
def test_what_the_file_lacks_is_told_with_how_to_look(theirs, context, missing):
    with pytest.raises(Unprepared, match=missing) as caught:
        kubeconfigs.server(theirs[0].model_copy(update={"context": context}))
    assert caught.value.cluster == "beijing"
    assert "config get-contexts" in caught.value.hint
    assert "token of" not in str(caught.value)


def written(folder, cluster=None, user=None):
    """Write a kubeconfig with these fields beside the usual ones; return its access."""
    document = {
        "clusters": [{"name": "c", "cluster": {"server": "https://one:6443", **(cluster or {})}}],
        "users": [{"name": "u", "user": user or {}}],
        "contexts": [{"name": "k", "context": {"cluster": "c", "user": "u"}}],
    }
    (folder / "config").write_text(yaml.safe_dump(document))
    return Access(cluster="one", kubeconfig=folder / "config", context="k")


def merged(access, folder):
    found = yaml.safe_load(kubeconfigs.merge([access], folder / "merged").read_text())
    return found["clusters"][0]["cluster"], found["users"][0]["user"]


DATA = base64.b64encode(b"CA").decode()


@pytest.mark.parametrize("path", ["", None, "gone.crt"])
def test_data_wins_over_a_file_and_an_empty_path_is_none(tmp_path, path):
    fields = {"certificate-authority": path, "certificate-authority-data": DATA}
    cluster, _ = merged(written(tmp_path, fields), tmp_path)
    assert cluster == {"server": "https://one:6443", "certificate-authority-data": DATA}


def test_a_file_that_is_not_there_is_told_with_its_key(tmp_path):
    access = written(tmp_path, {"certificate-authority": "gone.crt"})
    with pytest.raises(Unprepared, match=r"certificate-authority of its .*gone\.crt: No such") as e:
        merged(access, tmp_path)
    assert e.value.cluster == "one" and "certificate-authority-data" in e.value.hint


def test_an_authority_that_is_not_to_be_asked_is_refused_as_kubectl_refuses_it(tmp_path):
    fields = {"insecure-skip-tls-verify": True, "certificate-authority-data": DATA}
    with pytest.raises(Unprepared, match="both a certificate authority and insecure") as e:
        merged(written(tmp_path, fields), tmp_path)
    assert e.value.cluster == "one" and "kubectl refuses" in e.value.hint


@pytest.mark.parametrize(
    ("user", "there"),
    [
        ({"tokenFile": "token"}, {"tokenFile": "{}/token"}),
        ({"tokenFile": "/run/token"}, {"tokenFile": "/run/token"}),
        ({"exec": {"command": "./login"}}, {"exec": {"command": "{}/login"}}),
        ({"exec": {"command": "bin/login"}}, {"exec": {"command": "{}/bin/login"}}),
        ({"exec": {"command": "aws"}}, {"exec": {"command": "aws"}}),
        ({"exec": {"command": "/bin/aws"}}, {"exec": {"command": "/bin/aws"}}),
        ({"as": "reader", "token": "t"}, {"as": "reader", "token": "t"}),
        (None, {}),
    ],
)
def test_what_is_relative_to_the_file_is_so_no_more_in_the_merged_one(tmp_path, user, there):
    (tmp_path / "other").mkdir()
    _, found = merged(written(tmp_path, user=user), tmp_path / "other")
    assert found == json.loads(json.dumps(there).replace("{}/", f"{tmp_path.resolve()}/"))


@pytest.mark.parametrize(
    ("user", "headers"),
    [
        ({}, {}),
        ({"as": "reader"}, {"Impersonate-User": "reader"}),
        (
            {"as": "r", "as-uid": "7", "as-groups": ["g"], "as-user-extra": {"Scopes": ["view"]}},
            {
                "Impersonate-User": "r",
                "Impersonate-Uid": "7",
                "Impersonate-Group": "g",
                "Impersonate-Extra-scopes": "view",
            },
        ),
    ],
)
def test_requests_are_made_as_whom_the_kubeconfig_says(folders, user, headers):
    access = written(folders, user={**user, "token": "t"})
    assert kubeconfigs.impersonation_headers(access) == headers
    sent = kube_client.new_client(access).default_headers
    assert {k: v for k, v in sent.items() if k.startswith("Impersonate")} == headers


def test_who_is_to_be_several_groups_at_once_is_refused_and_not_somebody_else(folders):
    access = written(folders, user={"as": "r", "as-groups": ["a", "b"], "token": "t"})
    with pytest.raises(Unprepared, match="several groups"):
        kube_client.new_client(access)


@pytest.mark.parametrize(
    ("cluster", "refused"),
    [
        ({}, ""),
        ({"proxy-url": "http://proxy:3128"}, ""),
        ({"proxy-url": "http://user:canary@proxy:3128"}, "has a password"),
        ({"insecure-skip-tls-verify": True}, "nobody verifies"),
        ({"insecure-skip-tls-verify": False, "certificate-authority-data": DATA}, ""),
    ],
)
def test_what_kubefed_would_store_for_every_reader_is_told_before(tmp_path, cluster, refused):
    found = kubeconfigs.federation_blocker(written(tmp_path, cluster))
    assert bool(found) is bool(refused)
    assert refused in str(found) and "canary" not in str(found)


PLUGIN = """#!/bin/sh
echo "your session has ended; run: cloud login" >&2
exit 1
"""


def test_a_login_plugin_that_fails_is_told_with_its_last_words(folders, caplog):
    (folders / "login").write_text(PLUGIN)
    (folders / "login").chmod(0o700)
    api = "client.authentication.k8s.io/v1"
    plugin = {"apiVersion": api, "command": "./login", "interactiveMode": "Never"}
    access = written(folders, user={"exec": plugin})
    with pytest.raises(Unprepared, match="your session has ended; run: cloud login") as caught:
        kube_client.new_client(access)
    assert caught.value.cluster == "one" and "kubectl --kubeconfig" in caught.value.hint
    assert not caplog.records


def test_no_key_of_a_client_stays_in_a_file(folders, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(folders / "tmp"))
    key = certificates.new_key()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "admin")])
    made = certificates.builder(name, name, key).sign(key, hashes.SHA256())
    parts = {
        "client-certificate-data": certificates.pem(made),
        "client-key-data": certificates.key_pem(key),
    }
    user = {k: base64.b64encode(v.encode()).decode() for k, v in parts.items()}
    (folders / "home").mkdir(exist_ok=True)
    kube_client.new_client(written(folders, user=user))
    left = [p for p in folders.rglob("*") if p.is_file() and b"PRIVATE" in p.read_bytes()]
    assert not left
    assert not [p for p in folders.rglob("*") if p.name.startswith(kube_client.KEY_FOLDER_PREFIX)]
