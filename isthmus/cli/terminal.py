"""How we speak: results on stdout, everything else on stderr; colour, marks, broken pipes."""

import json
import os
import select
import stat
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from io import StringIO
from typing import IO, Any, TextIO

from rich.console import Console, RenderableType
from rich.text import Text

API_VERSION = "isthmus/v1"
COLORS = ("auto", "always", "never")
PLAIN_WIDTH = 160
"""Columns of a table that nobody looks at on a terminal."""

_color: ContextVar[str] = ContextVar("color", default="auto")


@dataclass(frozen=True)
class Marks:
    """The signs that go before a step or a check."""

    done: str
    failed: str
    retrying: str
    more: str
    bar: str
    spinner: str


SIGNS = Marks(done="✓", failed="✗", retrying="↻", more="…", bar="━", spinner="dots")
ASCII = Marks(done="+", failed="x", retrying="~", more="...", bar="=", spinner="line")


class PipeSafeConsole(Console):
    """A console whose reader may leave: it falls silent instead of ending the run."""

    def on_broken_pipe(self) -> None:
        """Say nothing more."""
        self.quiet = True
        _discard(self.file)


@contextmanager
def one_command() -> Iterator[None]:
    """Let what `choose_color` chooses hold until the end of the block."""
    token = _color.set("auto")
    try:
        yield
    finally:
        _color.reset(token)


def choose_color(color: str) -> None:
    """Make `auto`, `always` or `never` hold for the rest of the command."""
    _color.set(color)


def stdout() -> Console:
    """Return the console for what is drawn in place; a result that stays is printed by `show`."""
    return _console(sys.stdout, sys.stdout)


def stderr() -> Console:
    """Return the console for progress and messages."""
    return _console(sys.stderr, sys.stderr)


def is_live(stream: TextIO) -> bool:
    """Tell whether lines on this stream can be drawn again: a terminal, and not a dumb one."""
    return stream.isatty() and os.environ.get("TERM", "dumb") != "dumb"


def marks(stream: TextIO) -> Marks:
    """Return the marks that the stream's encoding can show."""
    encoding = (getattr(stream, "encoding", None) or "ascii").lower().replace("-", "")
    return SIGNS if encoding == "utf8" else ASCII


def document(kind: str, fields: Mapping[str, Any]) -> None:
    """Print one JSON document on stdout: sorted keys, with apiVersion and kind."""
    whole = {**fields, "apiVersion": API_VERSION, "kind": kind}
    print_result(json.dumps(whole, indent=2, sort_keys=True))


def show(*parts: RenderableType) -> None:
    """Print a result for a person on stdout."""
    buffer = StringIO()
    console = _console(buffer, sys.stdout)
    console.print(*parts, sep="\n")
    print_result(buffer.getvalue().rstrip("\n"))


def show_lines(lines: Iterable[Text]) -> None:
    """Print lines on stdout as long as they are: what is to be pasted must not be broken."""
    buffer = StringIO()
    console = _console(buffer, sys.stdout)
    for line in lines:
        console.print(line, soft_wrap=True)
    print_result(buffer.getvalue().rstrip("\n"))


def plain(*parts: RenderableType) -> str:
    """Return a result as text, without colour, as wide as a page."""
    buffer = StringIO()
    Console(file=buffer, width=PLAIN_WIDTH, no_color=True, highlight=False).print(*parts, sep="\n")
    return buffer.getvalue().rstrip("\n")


def print_message(text: str, style: str = "") -> None:
    """Print a message for a person on stderr."""
    stderr().print(Text(text, style=style), soft_wrap=True)


def print_result(text: str) -> None:
    """Write to stdout; a reader that has left is no error."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        _discard(sys.stdout)


def has_reader() -> bool:
    """Tell whether somebody still reads stdout; a pipe's other end may have been closed."""
    opened = os.fstat(sys.stdout.fileno())
    if os.path.samestat(opened, os.stat(os.devnull)):
        return False  # also once `print_result` has met that nobody reads
    if not stat.S_ISFIFO(opened.st_mode):
        return True
    poller = select.poll()
    poller.register(sys.stdout.fileno(), 0)
    return not any(event & select.POLLERR for _, event in poller.poll(0))


def _console(file: TextIO, shown_on: TextIO) -> Console:
    live, has_color = is_live(shown_on), _is_colored(shown_on)
    return PipeSafeConsole(
        file=file,
        force_terminal=live or has_color,
        color_system="standard" if has_color else None,
        no_color=not has_color,
        width=None if live else PLAIN_WIDTH,
        highlight=False,
        markup=False,
        emoji=False,
    )


def _is_colored(stream: TextIO) -> bool:
    if (color := _color.get()) == "auto":
        return is_live(stream) and not os.environ.get("NO_COLOR")
    return color == "always"


def _discard(stream: IO[str]) -> None:
    # Also what is still buffered, and what the interpreter flushes at its end.
    sink = os.open(os.devnull, os.O_WRONLY)
    os.dup2(sink, stream.fileno())
    os.close(sink)
