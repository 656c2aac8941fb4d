"""Run one command to its end; its failure becomes a typed error that names what was tried."""

import shlex
import subprocess
from collections.abc import Mapping, Sequence

from isthmus.adapters import surroundings
from isthmus.errors import NotReady, Rejected, Unprepared

TAIL = 12
"""Lines of a failed command's standard error that a person gets to see."""


def run(
    argv: Sequence[object],
    *,
    stdin: str | None = None,
    env: Mapping[str, str] | None = None,
    timeout: float = 120,
    cluster: str | None = None,
    step: str | None = None,
    umask: int = -1,
) -> str:
    """Return what the command printed; never pass a secret in `argv`, use `stdin` or a file.

    It gets an environment that we make, unless `env` is another (isthmus.adapters.surroundings).
    `umask` is for programs whose files others must read; by default it is this process's.

    Raises Unprepared if there is no such program, NotReady after `timeout` seconds, Rejected if it
    fails.
    """
    command = [str(part) for part in argv]
    shown = shlex.join(command)
    try:
        done = subprocess.run(
            command,
            input=stdin,
            env=surroundings.made() if env is None else env,
            timeout=timeout,
            encoding="utf-8",
            errors="replace",
            capture_output=True,
            umask=umask,
        )
    except OSError as error:
        text = f"{command[0]}: cannot be run: {error.strerror}"
        raise Unprepared(text, cluster=cluster, step=step) from error
    except subprocess.TimeoutExpired as error:
        raise NotReady(
            f"`{shown}`: no end after {timeout:g} s", cluster=cluster, step=step
        ) from error
    if done.returncode:
        last = "\n".join(_said(done.stderr or done.stdout).splitlines()[-TAIL:])
        raise Rejected(
            f"`{shown}` ended with {done.returncode}: {last}", cluster=cluster, step=step
        )
    return done.stdout


def _said(text: str) -> str:
    # A Go program that calls it fatal prints where each of its goroutines is: of use to no one.
    return text.split("\ngoroutine ")[0].strip()


def succeeds(argv: Sequence[object]) -> bool:
    """Tell whether a command that only asks ends well."""
    command = [str(part) for part in argv]
    done = subprocess.run(command, capture_output=True, env=surroundings.made())
    return done.returncode == 0
