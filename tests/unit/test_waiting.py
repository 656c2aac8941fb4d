"""The one waiting loop: what it returns, what it says when time is up."""

import threading

import pytest

from isthmus import waiting
from isthmus.errors import ClusterUnreachable, NotReady, Rejected, Stopped


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    """A clock that only sleeping moves; returns the sleeps."""
    slept = []
    stopped = threading.Event()
    monkeypatch.setattr(stopped, "wait", slept.append)
    monkeypatch.setattr(waiting, "_stopped", stopped)
    monkeypatch.setattr(waiting.time, "monotonic", lambda: sum(slept))
    return slept


def test_what_is_there_is_not_waited_for(clock):
    assert waiting.until(lambda: "x", "a thing", timeout=0) == "x"
    assert clock == []


def test_it_asks_until_there_is_an_answer(clock):
    answers = [None, None, 0]
    assert waiting.until(lambda: answers.pop(0), "a thing", timeout=9, interval=2) == 0
    assert clock == [2, 2]


def test_when_time_is_up_it_says_what_for_where_and_what_it_saw_last(clock):
    with pytest.raises(NotReady) as caught:
        waiting.until(
            lambda: None, "a thing", timeout=10, interval=3, cluster="xian", seen=lambda: "half"
        )
    assert str(caught.value) == "xian: a thing: not there after 10 s; last seen: half"
    assert sum(clock) <= 10


def test_time_that_is_up_may_mean_another_error():
    with pytest.raises(ClusterUnreachable):
        waiting.until(lambda: None, "an answer", timeout=0, error=ClusterUnreachable)


def test_what_goes_wrong_while_asking_ends_the_waiting(clock):
    def refuse():
        raise Rejected("no")

    with pytest.raises(Rejected):
        waiting.until(refuse, "a thing", timeout=9)
    assert clock == []


def test_whoever_waits_hears_that_the_run_was_asked_to_end(clock):
    def stop_while_asked():
        waiting.stop()

    with pytest.raises(Stopped):
        waiting.until(stop_while_asked, "a thing", timeout=9)
    assert len(clock) == 1
