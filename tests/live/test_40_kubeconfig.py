"""Provider kubeconfig: clusters that exist are handed over, used, and given back as they were."""

import json
import re
import signal

import pytest
from live import unkind
from live.bare import await_end, environment_of, everything, handed_namespaces, regions
from live.runs import kill_under, until_step


@pytest.fixture(scope="module")
def handed_over(isthmus, tmp_path_factory):
    """Two bare regions, known by kubeconfig alone."""
    folder = tmp_path_factory.mktemp("handed-over")
    with regions(isthmus, folder, "bare", ["one", "two"]) as clusters:
        yield clusters


def environment(folder, clusters, federation: str):
    return environment_of(folder / "theirs.yaml", "theirs", clusters, federation)


@pytest.mark.parametrize("federation", ["kubefed", pytest.param("direct", marks=pytest.mark.long)])
def test_a_mesh_on_clusters_that_exist_is_built_and_taken_away(
    isthmus, handed_over, federation, tmp_path
):
    before = everything(handed_over)
    kubeconfigs = {name: path.read_text() for name, path in handed_over.items()}
    file = environment(tmp_path, handed_over, federation)
    assert isthmus.document("up", file)["verdict"] == "pass"
    isthmus.run("down", "theirs")
    after = everything(handed_over)
    assert {c: sorted(after[c] ^ before[c]) for c in before} == {"one": [], "two": []}
    assert {name: path.read_text() for name, path in handed_over.items()} == kubeconfigs


@pytest.mark.long
def test_a_colleagues_mesh_is_named_and_neither_changed_nor_taken_away_unasked(
    isthmus, handed_over, tmp_path
):
    """Two homes, one environment file, the same clusters."""
    file = environment(tmp_path, handed_over, "direct")
    colleague = type(isthmus)(tmp_path / "colleague")
    try:
        colleague.run("up", file)
        built = everything(handed_over)
        _, err = isthmus.run("down", file, code=64)
        made = r"one: its root CA was made by .+@.+ from .*/environments/theirs on 20"
        assert re.search(made, err) and f"isthmus down {file} --yes" in err
        _, err = isthmus.run("up", file, code=1)
        assert re.search(r"another root CA .*was made by .*/environments/theirs on 20", err), err
        after = everything(handed_over)
        assert {c: sorted(after[c] ^ built[c]) for c in built} == {"one": [], "two": []}
        assert colleague.document("verify", "theirs")["verdict"] == "pass"
    finally:
        colleague.run("down", "theirs")
        colleague.run("server", "stop", "--now")
        isthmus.run("down", file)


@pytest.mark.parametrize("steps", [6, pytest.param(13, marks=pytest.mark.long)])
def test_what_a_killed_build_left_in_clusters_that_stay_is_taken_away(
    isthmus, handed_over, steps, tmp_path
):
    before = everything(handed_over)
    process = isthmus.start("up", environment(tmp_path, handed_over, "kubefed"))
    until_step(process, steps)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    isthmus.run("down", "theirs")
    after = everything(handed_over)
    assert {c: sorted(after[c] ^ before[c]) for c in before} == {"one": [], "two": []}


@pytest.mark.long
def test_a_bad_day_of_the_api_servers_makes_all_slower_and_nothing_red(
    isthmus, handed_over, tmp_path
):
    """By hand, and as often as one likes: tests/live/unkind.py."""
    before = everything(handed_over)
    bridge = unkind.bridge_of(isthmus, "bare")
    with unkind.before(handed_over, bridge, tmp_path, seed=7) as (file, done):
        assert isthmus.document("up", file)["verdict"] == "pass"
        assert isthmus.document("verify", "unkind")["verdict"] == "pass"
        isthmus.run("down", "unkind")
    assert min(done["429"], done["500"], done["503"], done["cut"]) > 0, done
    after = everything(handed_over)
    assert {c: sorted(after[c] ^ before[c]) for c in before} == {"one": [], "two": []}


@pytest.mark.long
def test_api_servers_killed_under_helm_and_under_a_join_are_waited_for(
    isthmus, handed_over, tmp_path
):
    """istioctl asks no API server: it renders, and what it made is applied."""
    before = everything(handed_over)
    process = isthmus.start("up", environment(tmp_path, handed_over, "kubefed"))
    one, two = (handed_over[name].parent for name in ("one", "two"))
    try:
        assert kill_under(process, "helm", "upgrade", one, "kube-apiserver")
        joined = "--cluster-context=two"
        assert kill_under(process, "kubefedctl", joined, two, "kube-apiserver")
        _, err = process.communicate(timeout=900)
        assert process.returncode == 0, err
    finally:
        process.kill()
    isthmus.run("down", "theirs")
    after = everything(handed_over)
    assert {c: sorted(after[c] ^ before[c]) for c in before} == {"one": [], "two": []}


def test_what_somebody_else_made_is_neither_taken_over_nor_deleted(isthmus, handed_over, tmp_path):
    from isthmus.adapters.kube import Kube
    from isthmus.step_results import Access

    client = Kube(Access(cluster="one", kubeconfig=handed_over["one"], context="one"))
    theirs = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "istio-system"}}
    client.apply([theirs], owner="")
    try:
        file = environment(tmp_path, handed_over, "direct")
        _, err = isthmus.run("up", file, code=69)
        assert "Namespace istio-system" in err and "one" in err
        isthmus.run("down", file)
        assert client.get("Namespace", "istio-system"), "not ours to delete"
    finally:
        client.delete(theirs)
        await_end(client, "istio-system")


@pytest.mark.long
def test_namespaces_that_the_platforms_team_made_are_used_and_given_back(
    isthmus, handed_over, tmp_path
):
    """As docs/kubeconfig.md has it, with what such a namespace bears: labels, quotas, objects."""
    before = everything(handed_over)
    with handed_namespaces(handed_over, "theirs") as spaces:
        given, made = everything(handed_over), spaces()
        file = environment(tmp_path, handed_over, "direct")
        assert isthmus.document("up", file)["verdict"] == "pass"
        for was, now in zip(made, spaces(), strict=True):
            assert was.items() <= now.items(), "foreign labels and annotations stay"
        isthmus.run("down", "theirs")
        assert spaces() == made
        after = everything(handed_over)
        assert {c: sorted(after[c] ^ given[c]) for c in given} == {"one": [], "two": []}
    after = everything(handed_over)
    assert {c: sorted(after[c] ^ before[c]) for c in before} == {"one": [], "two": []}


def test_two_names_of_one_cluster_are_refused(isthmus, handed_over, tmp_path):
    twice = {"one": handed_over["one"], "two": tmp_path / "copy"}
    text = json.loads(handed_over["one"].read_text())
    text["contexts"][0]["name"] = text["current-context"] = "two"
    (tmp_path / "copy").write_text(json.dumps(text))
    _, err = isthmus.run("up", environment(tmp_path, twice, "direct"), code=65)
    assert "same cluster" in err
