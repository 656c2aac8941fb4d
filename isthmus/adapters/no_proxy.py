"""The lists in NO_PROXY: names, addresses and networks, each perhaps with a port."""

import ipaddress
import re
from collections.abc import Iterator

LIBRARY_ENTRY = re.compile(r"\*|\.?[A-Za-z0-9_][A-Za-z0-9_.-]*(:\d{1,5}|/\d{1,2})?")
"""What httpx takes in NO_PROXY besides addresses; at others, as fe80::/10, it raises."""


def entries(text: str) -> list[str]:
    """Return the entries of a list, whether commas or blanks are between them."""
    return [entry for entry in re.split(r"[,\s]+", text) if entry]


def for_libraries(entry: str) -> str:
    """Return an entry as Python's libraries take it; nothing if they would raise at it."""
    plain = entry.strip("[]")
    if _address(plain):
        return plain
    plain = plain.removeprefix("*") if plain != "*" else plain
    return plain if LIBRARY_ENTRY.fullmatch(plain) else ""


def matches(entry: str, host: str, port: int) -> bool:
    """Tell whether an entry means this host and port."""
    for name, wanted in _readings(entry):
        if wanted in (0, port) and _is_in(host, name):
            return True
    return False


def _readings(entry: str) -> Iterator[tuple[str, int]]:
    """Give what an entry may mean: a name, an address or a network, perhaps with a port."""
    found = re.fullmatch(r"\[(.+)\](?::(\d+))?|([^:]+):(\d+)", entry)
    if found:
        yield found[1] or found[3], int(found[2] or found[4] or 0)
    else:
        yield entry, 0


def _is_in(host: str, name: str) -> bool:
    if name == "*":
        return True
    if (address := _address(host)) is not None:
        try:
            return address in ipaddress.ip_network(name, strict=False)
        except ValueError:
            return False
    # As Go and httpx have it: a dot in front means what is below, and not the name itself.
    name = name.removeprefix("*")
    return host.endswith(name) if name.startswith(".") else f".{host}".endswith(f".{name}")


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
