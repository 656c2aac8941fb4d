"""What a run tells, and to whom."""

import contextvars
import threading

from isthmus import events
from isthmus.events import Event


def test_every_listener_hears_everything_and_only_while_it_listens():
    one, other = [], []
    with events.subscribe(one.append):
        with events.subscribe(other.append):
            events.publish(Event("started", "a", "x"))
        events.publish(Event("done", "a", "x"))
    events.publish(Event("started", "b", "y"))
    assert [e.kind for e in one] == ["started", "done"]
    assert [e.kind for e in other] == ["started"]


def test_what_a_step_says_bears_its_name():
    heard = []
    with events.subscribe(heard.append):
        events.report_progress("nobody speaks")
        with events.in_step(Event("started", "a", "install host", "beijing")):
            events.report_progress("half", 0.5)
        events.report_progress("nobody speaks")
    [event] = heard
    assert (event.kind, event.step, event.cluster) == ("noted", "a", "beijing")
    assert (event.text, event.fraction) == ("half", 0.5)


def test_steps_in_threads_do_not_speak_for_each_other():
    heard, together = [], threading.Barrier(2)

    def step(name):
        with events.in_step(Event("started", name, name)):
            together.wait(10)
            events.report_progress(f"I am {name}")

    with events.subscribe(heard.append):
        threads = [
            threading.Thread(target=contextvars.copy_context().run, args=[step, name])
            for name in ("a", "b")
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert {(e.step, e.text) for e in heard} == {("a", "I am a"), ("b", "I am b")}
