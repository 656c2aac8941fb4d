"""A port of a region that gives no answer for a while, as behind a firewall that drops packets."""

import select
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from isthmus.adapters import subprocess_env
from isthmus.errors import Unprepared
from isthmus.providers.lab.network import NETNS

CLOSED = "closed"
WAIT_SECONDS = 30.0
"""For iptables to set a rule, or to take it away; it waits for its lock for a third of that."""


@contextmanager
def closed(namespace: str, port: int) -> Iterator[None]:
    """Drop what a region gets from others at a port while the block runs, and no longer.

    A process of its own takes the rule away as soon as the end of its input tells that this one has
    ended, however it did. Raises Unprepared if the rule cannot be set, or not be taken away.
    """
    # Before the load balancer's address becomes a pod's, which may have another port.
    rule = f"PREROUTING -i eth0 -p tcp --dport {port} -j DROP"
    iptables = "iptables -w 10 -t mangle"
    script = (
        f"trap '' PIPE; {iptables} -I {rule} && echo {CLOSED} && read -r _; {iptables} -D {rule}"
    )
    keeper = subprocess.Popen(
        ["nsenter", f"--net={NETNS / namespace}", "sh", "-c", script],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=subprocess_env.for_program(),
        start_new_session=True,  # Ctrl-C is for this process, which then ends the block
    )
    assert keeper.stdin and keeper.stdout
    try:
        ready, _, _ = select.select([keeper.stdout], [], [], WAIT_SECONDS)
        if not ready or (said := keeper.stdout.readline().strip()) != CLOSED:
            why = said if ready else f"nothing within {WAIT_SECONDS:.0f} s"
            raise Unprepared(f"port {port} of {namespace} cannot be closed: {why}")
        yield
    finally:
        with suppress(BrokenPipeError):
            keeper.stdin.close()
        try:
            keeper.wait(WAIT_SECONDS)
        except subprocess.TimeoutExpired:
            keeper.kill()
            text = f"port {port} of {namespace} may still be closed: iptables gave no answer"
            command = f"nsenter --net={NETNS / namespace} {iptables} -D {rule}"
            raise Unprepared(text, hint=command) from None
        finally:
            keeper.stdout.close()
