"""A port of a region that gives no answer for a while, as behind a firewall that drops packets."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from isthmus.adapters import subprocess_env
from isthmus.errors import Unprepared
from isthmus.providers.lab.forwarding import IPTABLES
from isthmus.providers.lab.network import NETNS

CLOSED = "closed"
WAIT_SECONDS = 30.0
"""For iptables to get its lock and to take a rule away."""


@contextmanager
def closed(namespace: str, port: int) -> Iterator[None]:
    """Drop what a region gets at a port while the block runs, and no longer.

    A process of its own takes the rule away as soon as the end of its input tells that this one has
    ended, however it did. Raises Unprepared if the rule cannot be set.
    """
    rule = f"FORWARD -p tcp --dport {port} -j DROP"
    iptables = " ".join(IPTABLES)
    script = f"{iptables} -I {rule} && echo {CLOSED} && read -r _; {iptables} -D {rule}"
    command = ["nsenter", f"--net={NETNS / namespace}", "sh", "-c", script]
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=subprocess_env.for_program(),
        start_new_session=True,  # Ctrl-C is for this process, which then ends the block
    ) as keeper:
        assert keeper.stdin and keeper.stdout and keeper.stderr
        try:
            if keeper.stdout.readline().strip() != CLOSED:
                said = keeper.stderr.readline().strip()
                raise Unprepared(f"port {port} of {namespace} cannot be closed: {said}")
            yield
        finally:
            keeper.stdin.close()
            keeper.wait(WAIT_SECONDS)
