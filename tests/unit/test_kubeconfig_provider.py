"""Provider kubeconfig: what it refuses, before anything is written."""

import pytest

from isthmus.adapters import kube
from isthmus.environment import Environment
from isthmus.errors import BadEnvironment, Unprepared
from isthmus.providers.kubeconfig import Kubeconfig


class Reader:
    """A cluster that only says who it is."""

    def __init__(self, uid, version):
        self.uid, self.version = lambda: uid, lambda: version


@pytest.fixture
def environment(tmp_path):
    def cluster(name, network):
        path = tmp_path / name
        path.write_text("")
        return {"name": name, "network": network, "kubeconfig": str(path), "context": name}

    return Environment.model_validate(
        {
            "name": "theirs",
            "provider": "kubeconfig",
            "host": cluster("one", "network1"),
            "remotes": [cluster("two", "network2")],
        }
    )


def clusters(monkeypatch, **by_name):
    monkeypatch.setattr(kube, "connect", lambda access: by_name[access.cluster])


def test_two_clusters_of_a_version_in_the_window_are_taken(environment, monkeypatch):
    clusters(monkeypatch, one=Reader("a", "v1.36.3"), two=Reader("b", "v1.32.0-gke.1"))
    Kubeconfig().check(environment)


@pytest.mark.parametrize("version", ["v1.31.9", "v1.37.0", "v1.21.14"])
def test_a_version_outside_the_stacks_window_is_refused(environment, monkeypatch, version):
    clusters(monkeypatch, one=Reader("a", "v1.36.3"), two=Reader("b", version))
    with pytest.raises(Unprepared, match=f"{version}.*1.32 to 1.36") as caught:
        Kubeconfig().check(environment)
    assert caught.value.cluster == "two" and caught.value.hint


def test_one_cluster_under_two_names_is_refused(environment, monkeypatch):
    clusters(monkeypatch, one=Reader("a", "v1.36.3"), two=Reader("a", "v1.36.3"))
    with pytest.raises(BadEnvironment, match="same cluster as one"):
        Kubeconfig().check(environment)


def test_every_missing_file_is_named(environment, tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).unlink()
    with pytest.raises(Unprepared, match=r"one: .*no such file; two: "):
        Kubeconfig().check(environment)


def test_clusters_are_left_when_an_environment_goes(environment, monkeypatch):
    clusters(monkeypatch)
    Kubeconfig().delete(environment)
    assert not Kubeconfig().disposable
