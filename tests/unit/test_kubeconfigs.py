"""Merged kubeconfigs: each cluster by its own name, whatever the files called it."""

import base64
import stat

import pytest
import yaml

from isthmus.adapters import kubeconfigs
from isthmus.errors import Rejected
from isthmus.facts import Access


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
    with pytest.raises(Rejected, match=missing) as caught:
        kubeconfigs.server(theirs[0].model_copy(update={"context": context}))
    assert caught.value.cluster == "beijing"
    assert "config get-contexts" in caught.value.hint
    assert "token of" not in str(caught.value)
