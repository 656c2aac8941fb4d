"""Traffic between regions, past a machine's packet filter that lets nothing through unasked.

Docker and ufw set the policy of iptables' chain FORWARD to DROP, and with br_netfilter what a
bridge passes on goes through that chain too. So one rule lets an environment's bridge pass on what
stays on it. It names the bridge and nothing else, and comes first, before theirs.
"""

from isthmus.adapters import shell

IPTABLES = ("iptables", "-w")
"""It waits for its lock: others, such as Docker, change rules at the same moment."""


def allow(bridge: str) -> None:
    """Make the rule stand, be it that a firewall's restart took it away."""
    if _has_rule(bridge) or not shell.succeeds([*IPTABLES, "-S", "FORWARD"]):
        return  # a kernel without a packet filter drops nothing
    shell.run([*IPTABLES, "-I", "FORWARD", *_rule(bridge)])


def forbid(bridge: str) -> None:
    """Leave no such rule."""
    while _has_rule(bridge):
        shell.run([*IPTABLES, "-D", "FORWARD", *_rule(bridge)])


def _has_rule(bridge: str) -> bool:
    return shell.succeeds([*IPTABLES, "-C", "FORWARD", *_rule(bridge)])


def _rule(bridge: str) -> list[str]:
    return ["-i", bridge, "-o", bridge, "-j", "ACCEPT"]
