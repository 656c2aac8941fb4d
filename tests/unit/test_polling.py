"""The one waiting loop: what it returns, what it says when time is up."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from isthmus import polling
from isthmus.environment import Timeouts
from isthmus.errors import Busy, ClusterUnreachable, NotReady, Rejected, Stopped


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    """A clock that only sleeping moves; returns the sleeps."""
    slept = []
    stopped = threading.Event()
    monkeypatch.setattr(stopped, "wait", slept.append)
    monkeypatch.setattr(polling.time, "monotonic", lambda: sum(slept))
    with polling.stoppable():
        polling._stopped.set(stopped)
        yield slept


def test_what_is_there_is_not_waited_for(clock):
    assert polling.until(lambda: "x", "a thing", timeout=0) == "x"
    assert clock == []


def test_it_asks_until_there_is_an_answer(clock):
    answers = [None, None, 0]
    assert polling.until(lambda: answers.pop(0), "a thing", timeout=9, interval=2) == 0
    assert clock == [2, 2]


def test_when_time_is_up_it_says_what_for_where_and_what_it_saw_last(clock):
    with pytest.raises(NotReady) as caught:
        polling.until(
            lambda: None, "a thing", timeout=10, interval=3, cluster="xian", seen=lambda: "half"
        )
    assert str(caught.value) == "xian: timed out after 10 s waiting for a thing; last seen: half"
    assert sum(clock) <= 10


def test_time_that_is_up_may_mean_another_error():
    with pytest.raises(ClusterUnreachable):
        polling.until(lambda: None, "an answer", timeout=0, error=ClusterUnreachable)


def test_what_goes_wrong_while_asking_ends_the_waiting(clock):
    def refuse():
        raise Rejected("no")

    with pytest.raises(Rejected):
        polling.until(refuse, "a thing", timeout=9)
    assert clock == []


def test_whoever_waits_hears_that_the_run_was_asked_to_end(clock):
    def stop_while_asked():
        polling.stop()

    with pytest.raises(Stopped):
        polling.until(stop_while_asked, "a thing", timeout=9)
    assert len(clock) == 1


def test_what_waits_elsewhere_does_not_hear_it(clock):
    with polling.stoppable():
        polling.stop()
        with pytest.raises(Stopped):
            polling.raise_if_stopped()
    polling.raise_if_stopped()


def passing(message="HTTP 503", retry_after=0.0, kind=ClusterUnreachable):
    error = kind(message, cluster="xian")
    error.retry_after = retry_after
    return error


def test_an_answer_that_may_pass_is_part_of_waiting(clock):
    answers = [passing(), passing(kind=NotReady), None, "x"]

    def ask():
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    assert polling.until(ask, "a thing", timeout=9, interval=2) == "x"
    assert clock == [2, 2, 2]


def test_a_server_that_asks_to_be_left_alone_is_left_alone(clock):
    answers = [passing(retry_after=4.0), passing()]

    def ask():
        if answers:
            raise answers.pop(0)
        return "x"

    assert polling.until(ask, "a thing", timeout=9, interval=1) == "x"
    assert clock == [4, 1]


def test_who_asks_for_more_patience_than_there_is_is_asked_once_more_at_the_end(clock):
    def ask():
        asked.append(sum(clock))
        raise passing(retry_after=120.0)

    asked = []
    with pytest.raises(ClusterUnreachable, match="timed out after 60 s"):
        polling.until(ask, "a thing", timeout=60, interval=1)
    assert asked == [0, 60]


def test_when_time_is_up_the_last_answer_is_in_the_message_and_its_kind_remains(clock):
    def ask():
        raise passing("GET /api: HTTP 503")

    with pytest.raises(ClusterUnreachable) as caught:
        polling.until(ask, "Deployment a/b", timeout=10, interval=3)
    assert "timed out after 10 s waiting for Deployment a/b" in str(caught.value)
    assert "GET /api: HTTP 503" in str(caught.value) and caught.value.cluster == "xian"


def test_a_limit_that_ran_out_is_final_and_is_so_for_whoever_waits_around_it(clock):
    def inner():
        return polling.until(lambda: None, "the inner thing", timeout=3, interval=1)

    with pytest.raises(NotReady) as caught:
        polling.until(inner, "the outer thing", timeout=600, interval=1)
    assert caught.value.timed_out and "the inner thing" in str(caught.value)
    assert sum(clock) <= 3


def test_that_another_run_has_its_turn_is_for_the_asker_to_wait_for(clock):
    def ask():
        raise Busy("in use")

    with pytest.raises(Busy):
        polling.until(ask, "its turn", timeout=9)


def test_limits_are_those_of_the_environment_also_in_threads_that_a_step_starts():
    given = Timeouts(deployment=7)
    with polling.use_timeouts(given), ThreadPoolExecutor(2) as pool:
        assert polling.timeouts() is given
        seen = list(pool.map(polling.in_current_context(lambda _: polling.timeouts()), range(4)))
        assert seen == [given] * 4
    assert polling.timeouts() == Timeouts()


def test_within_a_deadline_nothing_is_waited_for_longer(clock):
    with polling.finish_within(10), pytest.raises(NotReady):
        polling.until(lambda: None, "a thing", timeout=90, interval=3)
    assert sum(clock) <= 10
    with pytest.raises(NotReady):
        polling.until(lambda: None, "a thing", timeout=20, interval=3)
    assert sum(clock) > 20


def test_once_a_deadline_is_over_a_single_answer_still_gets_seconds_and_a_command_its_time(clock):
    with polling.use_timeouts(Timeouts(request=15, exec=600, retry=2)), polling.finish_within(9):
        assert not polling.is_out_of_time()
        clock.append(9)
        assert polling.is_out_of_time()
        limits = polling.timeouts()
        assert (limits.request, limits.exec, limits.retry) == (5, 600, 2)
    assert not polling.is_out_of_time()
