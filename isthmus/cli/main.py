"""The command line's front door: the group of verbs, and what an error becomes."""

import errno
import os
import signal
import sys
import traceback
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn

import click

from isthmus import __version__, state
from isthmus.cli import interruptible, options, process_setup, terminal
from isthmus.cli.deploying import deploy
from isthmus.cli.diagnose import diagnose
from isthmus.cli.gather import gather
from isthmus.cli.inspect_commands import init, kubeconfig, render, validate, version
from isthmus.cli.preflight import preflight
from isthmus.cli.server import server
from isthmus.cli.status import status
from isthmus.cli.up_down_verify import down, up, verify
from isthmus.errors import IsthmusError, Unprepared, Usage

MACHINE_ERRNOS = {errno.EACCES, errno.EPERM, errno.ENOSPC, errno.EROFS, errno.EDQUOT, errno.ENOTDIR,
                  errno.EMFILE, errno.ENFILE}  # fmt: skip
"""What a file system says when it is not our fault."""
INTERNAL = 1


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, message="isthmus %(version)s")
@options.color
def isthmus() -> None:
    """One file becomes Kubernetes clusters in several regions, one federation and one Istio mesh.

    Exit codes: 0 well, 1 internal error, 64 usage, 65 bad environment file, 69 cluster unreachable
    or machine unprepared, 75 timed out (run again), 79 findings, 130 interrupted.
    """


for verb in (
    up, verify, status, diagnose, gather, down, validate, preflight, render, kubeconfig, init,
    deploy, server, version,
):  # fmt: skip
    isthmus.add_command(verb)


def main() -> NoReturn:
    """Run one command line and leave with its exit code."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if not interruptible.is_under_nohup(number):
            signal.signal(number, signal.default_int_handler)
    process_setup.prepare_process()
    code, abandoned = attempt(lambda: isthmus.main(prog_name="isthmus", standalone_mode=False))
    if abandoned:
        # Threads still wait for clusters; the interpreter's ordinary end would wait for them.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


def attempt(command: Callable[[], object]) -> tuple[int, bool]:
    """Return the exit code of a command, its error told on stderr, and whether threads are left."""
    with terminal.one_command():
        return _attempt(command)


def _attempt(command: Callable[[], object]) -> tuple[int, bool]:
    try:
        command()
        return 0, False
    except (KeyboardInterrupt, click.Abort):
        return print_error(interruptible.Interrupted("interrupted")), True
    except click.ClickException as error:
        error.show()
        return Usage.exit_code, False
    except IsthmusError as error:
        return print_error(error), isinstance(error, interruptible.Abandoned)
    except OSError as error:
        refused = _machine_error(error)
        return print_error(refused) if refused else _print_internal_error(error), False
    except Exception as error:
        if _is_of_interrupt(error):
            return print_error(interruptible.Interrupted("interrupted")), True
        return _print_internal_error(error), False


def _is_of_interrupt(error: BaseException | None) -> bool:
    """Tell whether it came of an interrupt that was raised inside a lock or an import."""
    while error and not isinstance(error, KeyboardInterrupt):
        error = error.__cause__ or error.__context__
    return error is not None


def print_error(error: IsthmusError) -> int:
    """Print an error for a person; return its exit code."""
    if os.environ.get("ISTHMUS_DEBUG"):
        terminal.print_message(_trace(error))
    terminal.print_message(f"isthmus: {error}", "red")
    return error.exit_code


def _machine_error(error: OSError) -> Unprepared | None:
    """Return what the file system's refusal means to a person, or nothing if it is our fault."""
    try:
        home, cache = state.home(), state.cache()
    except Unprepared as found:
        return found
    # A folder for us that cannot be made, as below /proc: we name no other one that must be there.
    missing = error.errno == errno.ENOENT and error.filename
    if error.errno not in MACHINE_ERRNOS and not (
        missing and home.is_relative_to(str(error.filename))
    ):
        return None
    hint = f"check disk space and permissions of {home} (ISTHMUS_HOME)"
    if error.filename and Path(str(error.filename)).is_relative_to(cache):
        hint = f"check disk space and permissions of {cache} (ISTHMUS_CACHE)"
    if error.errno in (errno.EMFILE, errno.ENFILE):
        hint = "let more files be open: ulimit -n 65536"
    return Unprepared(f"{error.filename or 'a file'}: {error.strerror}", hint=hint)


def _print_internal_error(error: Exception) -> int:
    trace = _trace(error)
    if os.environ.get("ISTHMUS_DEBUG"):
        terminal.print_message(trace)
    summary = next(iter(str(error).splitlines()), "")
    terminal.print_message(f"isthmus: internal error: {type(error).__name__}: {summary}", "red")
    terminal.print_message(f"  -> {_save_traceback(trace)}", "red")
    return INTERNAL


def _save_traceback(trace: str) -> str:
    moment = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    try:
        log = state.home() / "logs" / f"error-{moment}-{os.getpid()}.log"
        state.write_private(log, trace)
    except (OSError, Unprepared):
        return "to see the traceback, run again with ISTHMUS_DEBUG=1"
    return f"the traceback is in {log}"


def _trace(error: BaseException) -> str:
    return "".join(traceback.format_exception(error))


if __name__ == "__main__":
    main()
