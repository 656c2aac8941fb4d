"""`diagnose` and `gather`: what they print, write and end with, on snapshots that were taken."""

import json
import tarfile
from xml.etree import ElementTree

import pytest
from snapshots import changed, healthy, without

from isthmus import state
from isthmus.cli.main import attempt
from isthmus.cli.main import isthmus as group
from isthmus.collectors import logs, mesh
from isthmus.environment import Environment, dumps

CANARY = "eyJjYW5hcnkiOiJjYW5hcnkiLCJhIjoiYiJ9.canary.canary"


def run(*words):
    return attempt(lambda: group.main([str(w) for w in words], standalone_mode=False))[0]


@pytest.fixture
def snapshots(tmp_path):
    """Give a function that writes a snapshot to a file."""

    def write(snapshot, name="snapshot.json"):
        path = tmp_path / name
        path.write_text(snapshot.model_dump_json())
        return path

    return write


def broken():
    """Return a mesh whose remote is without its remote secret."""
    return changed(healthy(), "beijing", remote_secrets=[])


def test_a_healthy_mesh_ends_with_0_and_says_how_much_was_looked_at(snapshots, capsys):
    assert run("diagnose", "--snapshot", snapshots(healthy())) == 0
    assert "no failure found" in capsys.readouterr().out


def test_an_error_ends_with_79_its_cause_on_both_streams(snapshots, capsys):
    assert run("diagnose", "--snapshot", snapshots(broken())) == 79
    printed = capsys.readouterr()
    assert "error F05" in printed.out and "  type:  " in printed.out
    assert "F05" in printed.err and "  -> " in printed.err


def test_what_is_to_be_pasted_is_not_broken_over_lines(snapshots, capsys):
    run("diagnose", "--snapshot", snapshots(broken()))
    lines = capsys.readouterr().out.splitlines()
    assert all(
        line.startswith(("error", "warning", "info", "  ", "1 error")) for line in lines if line
    )


def test_a_program_gets_ids_evidence_and_commands(snapshots, capsys):
    assert run("diagnose", "--snapshot", snapshots(broken()), "-o", "json") == 79
    document = json.loads(capsys.readouterr().out)
    assert (document["kind"], document["verdict"]) == ("Diagnosis", "fail")
    first = document["findings"][0]
    assert first["id"] == "F05" and first["evidence"] and first["fix"]
    assert first["link"] == "docs/diagnosis.md#f05"
    assert first["explainedBy"] == []


def test_a_pipeline_gets_a_case_for_each_check(snapshots, tmp_path):
    file = tmp_path / "junit.xml"
    run("diagnose", "--snapshot", snapshots(broken()), "--junit", file)
    suite = ElementTree.parse(file).getroot()
    assert suite.get("failures") == "1"
    failed = [case for case in suite.iter("testcase") if case.find("failure") is not None]
    assert [case.get("classname") for case in failed] == ["diagnose.F05"]
    assert len(list(suite.iter("testcase"))) == int(suite.get("tests"))


def test_checks_can_be_chosen_and_left_out(snapshots, capsys):
    file = snapshots(broken())
    assert run("diagnose", "--snapshot", file, "--only", "f33") == 0
    assert run("diagnose", "--snapshot", file, "--skip", "F05,F53,F02") == 0
    assert run("diagnose", "--snapshot", file, "--only", "F99") == 64
    assert "F99" in capsys.readouterr().err


def test_all_checks_are_listed_without_a_cluster(capsys):
    assert run("diagnose", "--list-checks") == 0
    listed = capsys.readouterr().out.splitlines()
    assert listed[0].startswith("F01  ") and len(listed) > 50


@pytest.mark.parametrize("words", [(), ("somewhere", "--snapshot", "x")])
def test_what_to_diagnose_must_be_said_once(words):
    assert run("diagnose", *words) == 64


@pytest.mark.parametrize("content", ["", "{}", "[1]", '{"format": 99, "taken_at": 0}'])
def test_a_file_that_is_no_snapshot_is_named(tmp_path, content, capsys):
    file = tmp_path / "x.json"
    file.write_text(content)
    assert run("diagnose", "--snapshot", file) == 64
    assert str(file) in capsys.readouterr().err


def test_a_file_that_is_not_there_is_named(tmp_path, capsys):
    assert run("diagnose", "--snapshot", tmp_path / "gone") == 64
    assert "gone" in capsys.readouterr().err


@pytest.fixture
def built(tmp_path, monkeypatch):
    """An environment that was built, whose clusters show what `seen` holds."""
    monkeypatch.setenv("ISTHMUS_HOME", str(tmp_path / "home"))
    seen = {"snapshot": broken()}
    environment = Environment.model_validate(seen["snapshot"].environment)
    state.write_private(state.stored_environment_path(environment.name), dumps(environment))
    monkeypatch.setattr(mesh, "take_snapshot", lambda environment: seen["snapshot"])
    monkeypatch.setattr(
        logs, "collect", lambda *_: {"beijing/istiod.log": f"token: {CANARY}\nready\n"}
    )
    return seen


def test_the_snapshot_is_kept_for_its_owner_alone(built):
    assert run("diagnose", "pair") == 79
    kept = state.folder("pair") / "snapshot.json"
    assert kept.stat().st_mode & 0o777 == 0o600
    assert run("diagnose", "--snapshot", kept) == 79


def test_an_archive_holds_all_that_is_known_and_can_be_diagnosed(built, tmp_path, capsys):
    archive = tmp_path / "a.tar.gz"
    assert run("gather", "pair", "--to", archive) == 0
    assert archive.stat().st_mode & 0o777 == 0o600
    with tarfile.open(archive) as opened:
        files = {e.name.partition("/")[2]: opened.extractfile(e).read().decode() for e in opened}
    expected = {"index.html", "snapshot.json", "findings.txt", "junit.xml", "events.json",
                "environment.yaml", "versions.json", "logs/beijing/istiod.log"}  # fmt: skip
    assert expected <= set(files)
    assert "F05" in files["index.html"] and "F05" in files["findings.txt"]
    capsys.readouterr()
    assert run("diagnose", "--snapshot", archive) == 79
    assert "F05" in capsys.readouterr().out


def test_nothing_secret_is_in_an_archive(built, tmp_path):
    pod = {
        "kind": "Event",
        "metadata": {"name": "e", "namespace": "sample"},
        "message": f"Bearer {CANARY}",
        "involvedObject": {"kind": "Pod", "name": "<script>alert(1)</script>"},
    }
    cluster = built["snapshot"].cluster("beijing")
    objects = {**cluster.objects, "Event": [pod]}
    built["snapshot"] = changed(built["snapshot"], "beijing", objects=objects)
    archive = tmp_path / "a.tar.gz"
    assert run("gather", "pair", "--to", archive) == 0
    with tarfile.open(archive) as opened:
        texts = {e.name: opened.extractfile(e).read().decode() for e in opened}
    read = {name: text for name, text in texts.items() if not name.endswith("snapshot.json")}
    assert not [name for name, text in read.items() if "canary" in text]
    assert "<script>alert" not in texts["isthmus-pair/index.html"]


def test_an_archive_that_cannot_be_written_is_told(built, tmp_path, capsys):
    assert run("gather", "pair", "--to", tmp_path / "no" / "a.tar.gz") == 64
    assert "--to FILE" in capsys.readouterr().err


def test_a_gateway_s_service_that_is_gone_is_an_error_too(snapshots, capsys):
    seen = without(healthy(), "shanghai", "Service", "istio-eastwestgateway")
    assert run("diagnose", "--snapshot", snapshots(seen)) == 79
    assert "shanghai" in capsys.readouterr().out
