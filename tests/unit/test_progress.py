"""What a run tells, and to whom."""

import contextvars
import threading

from isthmus import progress
from isthmus.progress import Event


def test_every_listener_hears_everything_and_only_while_it_listens():
    one, other = [], []
    with progress.listening(one.append):
        with progress.listening(other.append):
            progress.publish(Event("started", "a", "x"))
        progress.publish(Event("done", "a", "x"))
    progress.publish(Event("started", "b", "y"))
    assert [e.kind for e in one] == ["started", "done"]
    assert [e.kind for e in other] == ["started"]


def test_what_a_step_says_bears_its_name():
    heard = []
    with progress.listening(heard.append):
        progress.say("nobody speaks")
        with progress.inside(Event("started", "a", "install host", "beijing")):
            progress.say("half", 0.5)
        progress.say("nobody speaks")
    [event] = heard
    assert (event.kind, event.step, event.cluster) == ("noted", "a", "beijing")
    assert (event.text, event.fraction) == ("half", 0.5)


def test_steps_in_threads_do_not_speak_for_each_other():
    heard, together = [], threading.Barrier(2)

    def step(name):
        with progress.inside(Event("started", name, name)):
            together.wait(10)
            progress.say(f"I am {name}")

    with progress.listening(heard.append):
        threads = [
            threading.Thread(target=contextvars.copy_context().run, args=[step, name])
            for name in ("a", "b")
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert {(e.step, e.text) for e in heard} == {("a", "I am a"), ("b", "I am b")}
