"""Since when something is so, and what changed last, by what looks have seen."""

import threading
from types import SimpleNamespace

import pytest
from rich.text import Text

from isthmus import polling, state
from isthmus.cli import interruptible, status_history, status_watch, terminal
from isthmus.cli.status_history import Change, History, Observation
from isthmus.errors import ClusterUnreachable

EMPTY = History({}, {})
WELL, ILL = Observation("lisbon gateway", "1 of 1 ready"), Observation("lisbon gateway", "0 of 1")


def test_the_first_look_changes_nothing_and_begins_to_count():
    history, changes = EMPTY.updated([WELL], 100.0)
    assert changes == [] and history.last is None
    assert history.since == {"lisbon gateway": 100.0}


def test_what_stays_as_it_was_keeps_its_time_and_what_changes_begins_anew():
    first, _ = EMPTY.updated([WELL], 100.0)
    same, none = first.updated([WELL], 160.0)
    assert none == [] and same.since == {"lisbon gateway": 100.0}
    after, changes = same.updated([ILL], 220.0)
    assert changes == [Change(220.0, "lisbon gateway", "1 of 1 ready", "0 of 1")]
    assert after.since == {"lisbon gateway": 220.0} and after.last == changes[0]
    later, _ = after.updated([ILL], 300.0)
    assert later.last == changes[0], "the last change stays told"


def test_after_a_long_time_without_a_look_nobody_claims_to_know_since_when():
    first, _ = EMPTY.updated([WELL], 100.0)
    again, changes = first.updated([WELL], 5000.0)
    assert again.since == {"lisbon gateway": 5000.0} and changes == []


def test_what_cannot_be_seen_in_a_cluster_that_is_away_has_not_changed():
    reachable = Observation("lisbon reachable", "v1.36.3")
    first, _ = EMPTY.updated([reachable, WELL], 100.0)
    away = Observation("lisbon reachable", "connection refused")
    after, changes = first.updated([away], 110.0, ["lisbon "])
    assert [c.what for c in changes] == ["lisbon reachable"]
    assert after.since["lisbon gateway"] == 100.0


def test_a_finding_that_came_and_was_mended_is_two_changes():
    finding = Observation("F14 lisbon -> osaka", "a gateway's address does not answer")
    first, _ = EMPTY.updated([WELL], 1.0)
    second, came = first.updated([WELL, finding], 2.0)
    _, went = second.updated([WELL], 3.0)
    assert [(c.before, c.now) for c in (*came, *went)] == [
        ("gone", finding.text), (finding.text, "gone")]  # fmt: skip


def test_what_was_seen_is_kept_for_the_next_command(tmp_path, monkeypatch):
    monkeypatch.setenv("ISTHMUS_HOME", str(tmp_path))
    state.folder("pair").mkdir(parents=True)
    history, _ = EMPTY.updated([WELL], 1.0)
    history, _ = history.updated([ILL], 2.0)
    status_history.save("pair", history)
    assert status_history.load("pair") == history
    assert (state.folder("pair") / status_history.FILE_NAME).stat().st_mode & 0o77 == 0


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"since": {}, "texts": {}, "last": [1]}'])
def test_a_file_that_is_broken_is_as_none(tmp_path, monkeypatch, content):
    monkeypatch.setenv("ISTHMUS_HOME", str(tmp_path))
    state.folder("pair").mkdir(parents=True)
    (state.folder("pair") / status_history.FILE_NAME).write_text(content)
    assert status_history.load("pair") == EMPTY


def test_an_environment_that_is_gone_is_not_made_again_by_a_look(tmp_path, monkeypatch):
    monkeypatch.setenv("ISTHMUS_HOME", str(tmp_path))
    status_history.save("pair", EMPTY)
    assert not state.folder("pair").exists()


def seen(changes=(), now=0.0):
    lines = [Text("lisbon (eu-west, network1)")]
    return SimpleNamespace(
        lines=lambda since=False: lines,
        changes=list(changes),
        health=SimpleNamespace(now=now),
        history=EMPTY,
        document=lambda: {"verdict": "pass"},
    )


def watched(monkeypatch, capsys, *looks, output="text"):
    """Return what `--watch` prints of these looks, after which somebody types Ctrl-C."""
    left = iter(looks)

    def look():
        try:
            found = next(left)
        except StopIteration:
            raise KeyboardInterrupt from None
        if isinstance(found, Exception):
            raise found
        return found

    monkeypatch.setattr(terminal, "has_reader", lambda: True)
    monkeypatch.setattr(polling, "pause", lambda seconds: None)
    with pytest.raises((KeyboardInterrupt, interruptible.Interrupted)):
        status_watch.watch(look, output, 10.0)
    return capsys.readouterr()


def test_without_a_terminal_all_is_told_once_and_then_each_change(monkeypatch, capsys):
    change = Change(0.0, "lisbon gateway", "1 of 1 ready", "0 of 1")
    told = watched(monkeypatch, capsys, seen(), seen(), seen([change])).out.splitlines()
    assert told[0] == "lisbon (eu-west, network1)"
    [line] = told[1:]
    assert line.endswith("  lisbon gateway: 0 of 1 (was: 1 of 1 ready)")


def test_a_look_that_fails_is_told_and_the_next_one_is_taken(monkeypatch, capsys):
    told = watched(monkeypatch, capsys, ClusterUnreachable("lisbon does not answer"), seen())
    assert "lisbon does not answer" in told.err and "lisbon (eu-west" in told.out


def test_a_look_that_is_interrupted_ends_the_watch(monkeypatch, capsys):
    told = watched(monkeypatch, capsys, seen(), interruptible.Interrupted("interrupted"), seen())
    assert told.out.count("lisbon (eu-west") == 1 and "interrupted" not in told.err


def test_as_json_each_look_is_a_document(monkeypatch, capsys):
    told = watched(monkeypatch, capsys, seen(), seen(), output="json").out
    assert told.count('"kind": "Status"') == 2


def test_a_pipe_whose_reader_has_left_ends_the_watch(monkeypatch):
    import os
    import sys

    read, write = os.pipe()
    with os.fdopen(write, "w") as end:
        monkeypatch.setattr(sys, "stdout", end)
        assert terminal.has_reader()
        os.close(read)
        assert not terminal.has_reader()
        terminal.print_result("a look")
        assert not terminal.has_reader(), "also once that was met"


def test_a_pause_ends_when_the_run_is_told_to():
    with polling.stoppable():
        threading.Timer(0.01, polling.in_current_context(lambda _: polling.stop()), [None]).start()
        with pytest.raises(Exception, match="stop"):
            polling.pause(60)
