"""What costs money, or ends another home's mesh, is shown before, and done only after a yes."""

import json
import sys
import types
from contextlib import nullcontext

import click.termui
import kce as stub
import pytest

from isthmus import binaries, environment_store, ownership, state
from isthmus.cli import prefect_setup
from isthmus.cli.main import attempt
from isthmus.cli.main import isthmus as group
from isthmus.environment import Environment
from isthmus.providers.kce import credentials, payloads


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "env.yaml"
    path.write_text(json.dumps(stub.content()))
    return str(path)


@pytest.fixture
def ran(cloud, monkeypatch):
    """What flows were called with."""
    calls = []

    def told(environment, **more):
        calls.append(more)
        raise KeyboardInterrupt

    for module, name in [("flows.build", "build"), ("flows.teardown", "teardown")]:
        fake = types.ModuleType(module)
        setattr(fake, name, told)
        monkeypatch.setitem(sys.modules, module, fake)
    monkeypatch.setattr(prefect_setup, "server_context", lambda tag: nullcontext())
    monkeypatch.setattr(binaries, "check", lambda environment: None)
    return calls


@pytest.fixture
def isthmus(capsys):
    def run(*arguments):
        code, _ = attempt(lambda: group.main(args=list(arguments), standalone_mode=False))
        return code, capsys.readouterr()

    return run


@pytest.fixture
def terminal(monkeypatch):
    """Sit before a terminal and give this answer."""

    def answer(text):
        monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
        monkeypatch.setattr(click.termui, "visible_prompt_func", lambda prompt: text)

    return answer


def test_without_a_terminal_nothing_is_bought_unless_yes_is_typed(isthmus, ran, file, cloud):
    code, said = isthmus("up", file)
    assert code == 64
    for cluster in ("beijing: KCE cluster pair_beijing in cn-beijing-6", "shanghai: KCE cluster"):
        assert cluster in said.err
    assert "no prices" in said.err and f"isthmus up {file} --yes" in said.err
    assert not ran and not cloud.asked("CreateCluster")
    assert not state.stored_environment_path("pair").exists()
    isthmus("up", file, "--yes")
    assert ran == [{"if_busy": "refuse", "buy": True}]


@pytest.mark.parametrize(("answer", "flows"), [("y", 1), ("n", 0), ("", 0)])
def test_at_a_terminal_a_person_is_asked(isthmus, ran, file, terminal, answer, flows):
    terminal(answer)
    code, _ = isthmus("up", file)
    assert len(ran) == flows
    assert code == (130 if flows else 64)


def test_where_all_clusters_are_there_nobody_is_asked(isthmus, ran, file, cloud):
    for cluster, region in (("beijing", "cn-beijing-6"), ("shanghai", "cn-shanghai-2")):
        cloud.put(f"pair_{cluster}", payloads.cluster_description("pair", cluster), region=region)
    _, said = isthmus("up", file)
    assert ran == [{"if_busy": "refuse"}] and "will buy" not in said.err


def test_what_will_be_deleted_is_listed_and_asked_for(isthmus, ran, file, cloud):
    identity = cloud.put("pair_beijing", payloads.cluster_description("pair", "beijing"))
    code, said = isthmus("down", file)
    assert code == 64 and not ran
    assert f"pair_beijing: KCE cluster {identity} in cn-beijing-6, running" in said.err
    assert f"isthmus down {file} --yes" in said.err
    isthmus("down", file, "--yes")
    assert ran == [{"if_busy": "refuse", "anothers": True}]


def test_a_mesh_that_another_home_built_is_named_and_asked_for(isthmus, ran, tmp_path, monkeypatch):
    monkeypatch.setattr(ownership, "reachable", lambda environment: [])
    made = "one: its root CA was made by ann@desk from ~/isthmus on 2026-11-26 10:00 UTC"
    monkeypatch.setattr(ownership, "built_elsewhere", lambda environment, found: [made])
    host, remote = ({"name": n, "kubeconfig": "kubeconfig", "context": n} for n in ("one", "two"))
    theirs = {"name": "pair", "provider": "kubeconfig", "host": host, "remotes": [remote]}
    (tmp_path / "theirs.yaml").write_text(json.dumps(theirs))
    (tmp_path / "kubeconfig").touch()
    file = str(tmp_path / "theirs.yaml")
    code, said = isthmus("down", file)
    assert code == 64 and not ran
    assert made in said.err and f"isthmus down {file} --yes" in said.err
    isthmus("down", file, "--yes")
    assert ran == [{"if_busy": "refuse", "anothers": True}]


def test_a_cluster_that_the_file_has_no_longer_is_deleted_only_if_a_person_says_so(
    isthmus, ran, file, cloud
):
    for cluster, region in (("beijing", "cn-beijing-6"), ("shanghai", "cn-shanghai-2")):
        cloud.put(f"pair_{cluster}", payloads.cluster_description("pair", cluster), region=region)
    gone = cloud.put(
        "pair_xian", payloads.cluster_description("pair", "xian"), region="cn-beijing-6"
    )
    three = stub.content(clusters=("beijing", "shanghai", "xian"))
    three["remotes"][1]["region"] = "cn-beijing-6"
    environment_store.save(Environment.model_validate(three))
    code, said = isthmus("up", file)
    assert code == 64 and not ran and not cloud.asked("DeleteCluster")
    assert f"This will delete:\n  - pair_xian: KCE cluster {gone}" in said.err
    isthmus("up", file, "--yes")
    assert ran == [{"if_busy": "refuse", "buy": True}]


def test_where_nothing_is_left_in_the_cloud_down_does_not_ask(isthmus, ran, file):
    isthmus("down", file)
    assert len(ran) == 1


def test_who_agreed_is_not_asked_again_in_the_background(isthmus, ran, file, monkeypatch):
    from isthmus.adapters import processes

    started = []

    def again(command, log):
        started.append(command)
        return types.SimpleNamespace(pid=1)

    monkeypatch.setattr(processes, "start_cli", again)
    code, said = isthmus("up", file, "--yes", "--no-wait", "-o", "json")
    assert code == 0 and json.loads(said.out)["verb"] == "up"
    assert started == [["up", "pair", "--yes"]]


def test_a_region_that_refuses_the_keys_is_told_before_anybody_is_asked(
    isthmus, ran, file, monkeypatch
):
    monkeypatch.setenv(credentials.ACCESS_KEY_VARIABLE, "AKLTwrong")
    code, said = isthmus("up", file)
    assert code == 1 and not ran
    assert "SignatureDoesNotMatch" in said.err and "AKLTwrong" not in said.err
