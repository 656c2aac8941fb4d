"""Run one command to its end; its failure becomes a typed error that names what was tried."""

import re
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from typing import Any

from isthmus import polling
from isthmus.adapters import pod_failures, subprocess_env
from isthmus.errors import ClusterUnreachable, NotReady, Rejected, Unprepared

TAIL = 12
"""Lines of a failed command's standard error that a person gets to see."""

ENDED = "` exited with "
"""Between a failed command and its exit code."""
PASSING = re.compile(
    r"connection (refused|reset|lost)|lost connection|\bEOF\b|broken pipe|TLS handshake timeout"
    r"|i/o timeout|deadline exceeded|request canceled|Client\.Timeout|timed? ?out|no route to host"
    r"|network is unreachable|closed (idle|network) connection|server sent GOAWAY"
    r"|connection broken|malformed (MIME header|HTTP)|unexpected end of|invalid byte in chunk"
    r"|server closed|unexpected newline"
    r"|too many requests|unable to (handle the request|return a response in the time)"
    r"|an error on the server|internal (server )?error|service unavailable|bad gateway"
    r"|gateway timeout"
    r"|etcdserver: |apiserver not ready|the object has been modified",
    re.IGNORECASE,
)
"""What clients of an API server say when the same call may succeed later.

Sources: Go net, net/http, crypto/tls; k8s.io/apimachinery pkg/api/errors; etcd api/v3rpc/rpctypes.
"""


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

    It gets an environment that we make, unless `env` is another (isthmus.adapters.subprocess_env).
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
            env=subprocess_env.for_program() if env is None else env,
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
        endless = NotReady(f"`{shown}`: timed out after {timeout:g} s", cluster=cluster, step=step)
        endless.timed_out = True
        raise endless from error
    if done.returncode:
        last = "\n".join(_said(done.stderr or done.stdout).splitlines()[-TAIL:])
        raise Rejected(f"`{shown}{ENDED}{done.returncode}: {last}", cluster=cluster, step=step)
    return done.stdout


def _said(text: str) -> str:
    # A Go program that calls it fatal prints where each of its goroutines is: of use to no one.
    return text.split("\ngoroutine ")[0].strip()


def run_on_cluster(argv: Sequence[object], **options: Any) -> str:
    """Return what a command printed that asks or changes a cluster, as `run` does.

    Raises ClusterUnreachable too: what its API server answered, or did not, may pass. If the run
    lost its turn meanwhile, that is what is raised, and not what it made of the command.
    """
    polling.run_change_check()
    try:
        return run(argv, **options)
    except Rejected as error:
        polling.run_change_check()
        said = error.message.rpartition(ENDED)[2]  # not the command, in which any word may be
        if pod_failures.admission_failure(said, "") or not PASSING.search(said):
            raise
        raise ClusterUnreachable(error.message, cluster=error.cluster, step=error.step) from None


def succeeds(argv: Sequence[object]) -> bool:
    """Tell whether a command that only asks ends well."""
    command = [str(part) for part in argv]
    done = subprocess.run(command, capture_output=True, env=subprocess_env.for_program())
    return done.returncode == 0
