"""Steps put together from events, and the chain that made a run long."""

import random
from itertools import pairwise

import pytest

from isthmus.events import Event
from isthmus.timeline import Step, StepRecorder, critical_path


def step(name, start, end, *after):
    return Step(name, name, None, start, end, "done" if end else "running", after)


def names(steps):
    return [step.step for step in steps]


def heard(*events):
    steps = StepRecorder()
    for event in events:
        steps(event)
    return steps


def test_a_step_is_what_its_last_event_says():
    [found] = heard(
        Event("started", "a", "install host", "beijing", after=("z",), at=10),
        Event("noted", "a", "install host", "beijing", "half", 0.5, at=11),
        Event("done", "a", "install host", "beijing", "4 objects changed", at=14),
    ).steps()
    assert (found.outcome, found.text, found.after) == ("done", "4 objects changed", ("z",))
    assert found.seconds(now=99) == 4


def test_a_step_that_found_nothing_to_say_keeps_its_last_note():
    [found] = heard(
        Event("started", "a", "x"),
        Event("noted", "a", "x", text="10.0.0.1"),
        Event("done", "a", "x"),
    ).steps()
    assert found.text == "10.0.0.1"


def test_a_step_that_is_tried_again_runs_on_from_its_first_start():
    steps = heard(
        Event("started", "a", "x", at=1),
        Event("retrying", "a", "x", text="no answer", at=3),
        Event("noted", "a", "x", text="asking", at=4),
    )
    [found] = steps.running()
    assert (found.outcome, found.start, found.end) == ("retrying", 1, None)


def test_steps_keep_the_order_of_their_start():
    steps = heard(Event("started", "b", "b"), Event("started", "a", "a"), Event("done", "b", "b"))
    assert names(steps.steps()) == ["b", "a"]
    assert names(steps.running()) == ["a"]


def test_the_critical_path_follows_whichever_predecessor_ended_last():
    steps = [
        step("cluster-a", 0, 5),
        step("cluster-b", 0, 9),
        step("host", 5, 7, "cluster-a"),
        step("remote", 9, 12, "host", "cluster-b"),
        step("sample", 7, 8, "host"),
    ]
    assert names(critical_path(steps)) == ["cluster-b", "remote"]


def test_the_critical_path_of_nothing_is_empty():
    assert critical_path([]) == []
    assert critical_path([step("a", 0, None)]) == []


def test_a_step_that_still_runs_is_on_no_critical_path():
    assert names(critical_path([step("a", 0, 4), step("b", 4, None, "a")])) == ["a"]


def test_steps_that_wait_for_each_other_or_for_nobody_known_do_no_harm():
    circle = [step("a", 0, 2, "b", "gone"), step("b", 0, 3, "a")]
    assert names(critical_path(circle)) == ["a", "b"]


@pytest.mark.parametrize("seed", range(20))
def test_each_step_of_the_critical_path_waited_for_the_one_before(seed):
    chance = random.Random(seed)
    steps = []
    for number in range(30):
        after = [f"{n}" for n in range(number) if chance.random() < 0.1]
        ready = max((float(steps[int(n)].end) for n in after), default=0.0)
        steps.append(step(f"{number}", ready, ready + chance.random(), *after))
    path = critical_path(steps)
    assert path[-1].end == max(s.end for s in steps)
    assert path[0].after == ()
    for before, following in pairwise(path):
        assert before.step in following.after
        assert before.end == max(steps[int(n)].end for n in following.after)
