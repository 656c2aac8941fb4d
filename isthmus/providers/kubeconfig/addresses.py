"""Where an API server says it is, and whether another cluster's pods can reach such a place; pure.

Loopback is refused unasked: in a pod it is the pod. Any other address, private ones too, is good if
a pod of the host reaches it: networks may be peered. That is probed.
"""

import ipaddress
from urllib.parse import urlsplit

from isthmus.errors import BadEnvironment

CGNAT_NETWORK = ipaddress.ip_network("100.64.0.0/10")
"""Addresses behind a carrier's NAT (RFC 6598), which `is_private` does not count."""


def classify_address(server: str) -> str:
    """Return `loopback`, `unspecified`, `private`, or nothing for any other place."""
    host = (urlsplit(server).hostname or "").rstrip(".").lower()
    if host == "localhost" or host.endswith(".localhost"):
        return "loopback"
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return ""
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    if address.is_loopback or address.is_unspecified:
        return "loopback" if address.is_loopback else "unspecified"
    shared = address.version == 4 and address in CGNAT_NETWORK
    return "private" if address.is_private or address.is_link_local or shared else ""


def is_ip(address: str) -> bool:
    """Tell an IP address from a host name."""
    try:
        return bool(ipaddress.ip_address(address))
    except ValueError:
        return False


def unusable(cluster: str, server: str, whose: str) -> list[BadEnvironment]:
    """Return the refusal of an address that means something else in every pod, or none.

    `whose` are the pods that must reach it: `pods of beijing`.
    """
    found = classify_address(server)
    if found not in ("loopback", "unspecified"):
        return []
    message = (
        f"its API server is at {server}, a {found} address: "
        f"{whose} must reach it, and in a pod that address is the pod itself"
    )
    return [BadEnvironment(message, cluster=cluster, hint=override(cluster))]


def override(cluster: str) -> str:
    """Return what to put into the environment file, for a server that has another address too."""
    return (
        f"set `server: https://ADDRESS:PORT` of {cluster} in the environment file to an address "
        "that they reach and that is in the server certificate's SANs"
    )
