"""A run in a thread of its own: a signal is heard at whatever moment it comes."""

import itertools
import os
import signal
import sys
import threading

import pytest

from isthmus.cli import interruptible, main


@pytest.fixture
def waited():
    """Yield an event for runs to wait for; the process' handlers are as before afterwards."""
    before = {number: signal.getsignal(number) for number in interruptible.SIGNALS}
    event = threading.Event()
    yield event
    sys.settrace(None)
    event.set()
    for number, handler in before.items():
        signal.signal(number, handler)


def interrupting(nth):
    """Return a tracer that sends SIGTERM at the `nth` instruction of a run that hears signals."""
    passed, unheard = 0, signal.getsignal(signal.SIGTERM)

    def trace(frame, event, _):
        nonlocal passed
        frame.f_trace_opcodes = True
        if event == "opcode" and signal.getsignal(signal.SIGTERM) is not unheard:
            passed += 1
            if passed == nth:
                os.kill(os.getpid(), signal.SIGTERM)
        return trace

    return trace


def test_a_signal_at_any_instruction_of_the_wait_is_an_interrupt(waited):
    for nth in itertools.count(1):
        for number in interruptible.SIGNALS:
            signal.signal(number, signal.default_int_handler)
        sys.settrace(interrupting(nth))
        with pytest.raises(interruptible.Abandoned) as given_up:
            interruptible.run(waited.wait, 0.2)
        sys.settrace(None)
        if isinstance(given_up.value, interruptible.DeadlineExceeded):
            break
    assert nth > 10, "it was never interrupted"


def test_an_error_that_an_interrupt_leaves_behind_is_the_interrupt(capsys):
    def command():
        try:
            raise KeyboardInterrupt
        finally:
            threading.Lock().release()  # As a Condition's does when its wait was interrupted.

    assert main.attempt(command) == (130, True)
    assert "internal error" not in capsys.readouterr().err
