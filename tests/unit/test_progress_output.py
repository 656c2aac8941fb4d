"""What a person sees of a run: the tree, the lines, the bars, the records."""

import io
import json
import random
import re
import threading

import pytest
from rich.console import Console

from isthmus import state
from isthmus.cli import bar_chart, run_history, terminal
from isthmus.cli.live_tree import LiveTree, leading_ended_steps, progress_text, select_visible_steps
from isthmus.cli.plain_log import PlainLog
from isthmus.cli.run_history import RunRecord
from isthmus.events import Event
from isthmus.timeline import Step


def console(**options):
    fixed = {"file": io.StringIO(), "width": 100, "color_system": None, "markup": False}
    return Console(**{**fixed, **options})


def step(name, start=0.0, end=None, outcome="done", **more):
    return Step(name, name, "beijing", start, end, outcome if end else "running", **more)


def lines_of(*events):
    out = console()
    with PlainLog(out) as view:
        for event in events:
            view(event)
    return out.file.getvalue().splitlines()


def test_a_finished_step_is_one_line_with_its_seconds():
    assert lines_of(
        Event("started", "a", "install host", "beijing", at=1),
        Event("done", "a", "install host", "beijing", "4 objects changed", at=4.2),
    ) == ["    3.2s  ok    install host  beijing  4 objects changed"]


def test_failures_and_retries_have_lines_of_their_own():
    shown = lines_of(
        Event("started", "a", "wire", "shanghai", at=1),
        Event("retrying", "a", "wire", "shanghai", "HTTP 503", at=2),
        Event("failed", "a", "wire", "shanghai", "HTTP 403: no\n  -> ask for it", at=3),
    )
    assert shown == [
        "    1.0s  retry wire  shanghai  HTTP 503",
        "    2.0s  FAIL  wire  shanghai  HTTP 403: no",
    ]


def test_a_long_step_is_heard_of_at_each_tenth():
    notes = [
        Event("noted", "a", "build toolchain", text=f"{n} of 1000", fraction=n / 1000)
        for n in range(1000)
    ]
    assert len(lines_of(*notes)) == 10


def test_a_note_that_says_the_same_again_is_not_printed():
    notes = [Event("noted", "a", "x", text="waiting for an address")] * 5
    assert len(lines_of(*notes)) == 1


def test_text_with_brackets_is_printed_as_it_is():
    [shown] = lines_of(Event("done", "a", "x", "b", "[red]list[0] :smile: [/]"))
    assert shown.endswith("[red]list[0] :smile: [/]")


def test_lines_from_many_threads_stay_whole():
    out = console()
    view = PlainLog(out)

    def publish(number):
        for turn in range(50):
            view(Event("done", f"{number}.{turn}", "x", "beijing", "y" * 60))

    threads = [threading.Thread(target=publish, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    shown = out.file.getvalue().splitlines()
    assert len(shown) == 200
    assert all(re.fullmatch(r" +0\.0s  ok    x  beijing  y{60}", line) for line in shown)


def drawn(events, marks=terminal.SIGNS, **options):
    out = console(force_terminal=True, height=20, **options)
    with LiveTree(out, marks) as tree:
        for event in events:
            tree(event)
    return out.file.getvalue()


def finished(shown):
    """Return the lines as they stand on the screen at the end."""
    plain = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", shown).replace("\r", "\n")
    return [line for line in plain.splitlines() if line.strip()]


EVENTS = [
    Event("started", "a", "create cluster", "beijing", at=1),
    Event("started", "b", "create cluster", "shanghai", at=1),
    Event("done", "b", "create cluster", "shanghai", "made", at=3),
    Event("done", "a", "create cluster", "beijing", "found", at=5),
    Event("started", "c", "install host", "beijing", at=5),
    Event("failed", "c", "install host", "beijing", "refused\n  -> look", at=6),
]


def test_the_tree_ends_with_every_step_in_order_of_start():
    last = finished(drawn(EVENTS))[-3:]
    assert re.match(r"✓ create cluster +beijing +4\.0 s  found", last[0])
    assert re.match(r"✓ create cluster +shanghai +2\.0 s  made", last[1])
    assert re.match(r"✗ install host +beijing +1\.0 s  refused$", last[2])


def test_the_tree_is_ascii_where_the_terminal_is():
    assert drawn(EVENTS, terminal.ASCII).isascii()


def test_a_line_is_never_wider_than_the_terminal():
    long = Event("done", "a", "x" * 80, "b" * 40, "y" * 400)
    assert all(len(line) <= 60 for line in finished(drawn([long], width=60)))


def test_what_ended_leaves_the_drawing_only_in_order():
    steps = [step("a", end=1.0), step("b"), step("c", end=2.0)]
    assert leading_ended_steps(steps) == steps[:1]
    assert leading_ended_steps(steps[:1]) == steps[:1]
    assert leading_ended_steps(steps[1:]) == []


@pytest.mark.parametrize("seed", range(20))
def test_a_tree_higher_than_the_terminal_keeps_what_still_runs(seed):
    chance = random.Random(seed)
    steps = [step(f"{n}", end=chance.choice([None, 5.0])) for n in range(chance.randint(0, 40))]
    room = chance.randint(1, 30)
    shown, hidden = select_visible_steps(steps, room)
    assert len(shown) + hidden == len(steps)
    assert len(shown) + bool(hidden) <= room
    assert shown == [s for s in steps if s in shown]
    running = [s for s in steps if s.end is None]
    if len(running) < room:
        assert set(running) <= set(shown)


def test_how_far_a_long_step_is_shows_until_it_ends():
    assert progress_text(step("a", text="compiling", fraction=0.42)) == "42% compiling"
    assert progress_text(step("a", end=3.0, text="built", fraction=0.42)) == "built"


RUN = RunRecord(
    "silk-road",
    "up",
    100.0,
    110.0,
    "done",
    (
        step("a", 100.0, 104.0),
        step("b", 100.0, 101.0),
        step("c", 104.0, 110.0, after=("a", "b"), outcome="failed"),
    ),
)


def chart(run, marks=terminal.SIGNS):
    out = console()
    out.print(bar_chart.chart(run, marks))
    return out.file.getvalue().splitlines()[1:]


def test_bars_stand_where_the_steps_were_and_mark_the_critical_path():
    a, b, c = chart(RUN)
    assert [line[0] for line in (a, b, c)] == ["*", " ", "*"]
    assert (a.count("━"), b.count("━"), c.count("━")) == (16, 4, 24)
    assert c.index("━") == a.index("━") + 16


def test_the_summary_says_how_much_of_the_run_its_critical_path_was():
    assert bar_chart.summary(RUN) == "critical path: 10.0 s of 10.0 s: a (beijing) > c (beijing)"


def test_a_run_without_steps_has_an_empty_chart():
    assert chart(RunRecord("silk-road", "up", 1.0, 1.0, "done", ())) == []


def test_bars_never_leave_their_column():
    late = RunRecord("x", "up", 0.0, 1.0, "done", (step("a", 0.9999, 1.0), step("b", 0.0, None)))
    assert all(line.count("=") in (1, bar_chart.WIDTH) for line in chart(late, terminal.ASCII))


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("ISTHMUS_HOME", str(tmp_path))
    state.ensure_folder("silk-road")
    return tmp_path


def test_a_run_comes_back_as_it_was_written(home):
    run_history.write(RUN)
    assert run_history.last("silk-road") == RUN
    [path] = home.glob("environments/silk-road/runs/*.json")
    assert path.name == "19700101T000140.000000Z.json"
    assert path.stat().st_mode & 0o077 == 0
    assert json.loads(path.read_text())["criticalPath"] == ["a", "c"]


def test_the_last_twenty_runs_are_kept(home):
    for start in range(30):
        run_history.write(RunRecord("silk-road", "up", float(start), start + 1.0, "done", ()))
    kept = sorted(home.glob("environments/silk-road/runs/*.json"))
    assert len(kept) == 20
    assert run_history.last("silk-road").start == 29.0
    assert json.loads(kept[0].read_text())["start"] == 10.0


def test_a_record_that_cannot_be_read_is_passed_over(home):
    run_history.write(RUN)
    folder = home / "environments" / "silk-road" / "runs"
    for name, text in {"2": "{", "3": "[]", "4": '{"steps": 3}', "5": "null"}.items():
        (folder / f"{name}.json").write_text(text)
    assert run_history.last("silk-road") == RUN


def test_nothing_is_recorded_of_an_environment_that_is_gone(home):
    run_history.write(RunRecord("other", "down", 1.0, 2.0, "done", ()))
    assert run_history.last("other") is None
    assert not state.folder("other").exists()
