"""Web proxies: which one a URL is asked through, if any; decided here for libraries and programs.

Python's libraries and Go's read the same variables differently (a lower-case NO_PROXY, networks in
it, ALL_PROXY, GNOME's socks://). So nobody reads them but this module: libraries and programs get
what follows from it. This machine and the lab are asked directly, whatever the shell says.
"""

import ipaddress
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from urllib.parse import SplitResult, urlsplit

from isthmus import state
from isthmus.adapters import no_proxy
from isthmus.errors import Unprepared

NAMES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")
SAVED_VARIABLE = "ISTHMUS__PROXIES"
"""Holds what the person's shell said, once this process's variables fit its libraries."""
DIRECT = ("localhost", "127.0.0.1", "::1", "127.0.0.0/8", "198.18.0.0/15")
"""Never asked through a proxy: this machine, and where the lab's addresses are (RFC 2544)."""
USABLE = ("http", "https", "socks5", "socks5h")
"""Schemes of proxies that httpx, urllib3, pip and Go all know; Go calls both of SOCKS `socks5`."""
PROXY_ERROR_SIGNS = ("ProxyError", "connect to proxy", "Tunnel connection failed", "SOCKS")
"""What urllib3 says of a proxy that is dead or refuses."""
PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}
PROXY_PORTS = {"http": 80, "https": 443}
SECURE = ("https", "wss")


def proxy_for(url: str) -> str | None:
    """Return the proxy through which a URL is asked, as curl would choose it; None: directly.

    Raises Unprepared, with the variable's name, if it needs one that cannot be used.
    """
    return _chosen(url, "ALL_PROXY")


def cluster_proxy(url: str) -> str | None:
    """Return the proxy to an API server as kubectl would choose it: ALL_PROXY is not read.

    Source: golang.org/x/net/http/httpproxy. Raises Unprepared as `proxy_for` does.
    """
    return _chosen(url)


def variable(url: str) -> str:
    """Return the name of the variable that holds what `proxy_for` returns, or nothing."""
    return _variable(url, "ALL_PROXY")


def variable_of_cluster(url: str) -> str:
    """Return the name of the variable that holds the proxy of `cluster_proxy`; or nothing."""
    return _variable(url)


def describe_proxy(text: str) -> str:
    """Return where the proxy comes from that a library's message is about; or nothing."""
    if not any(sign in text for sign in PROXY_ERROR_SIGNS):
        return ""
    names = [name for name in NAMES[:2] if _said().get(name)]
    return f" (the proxy in {' or '.join(names) or 'proxy-url of the kubeconfig'})"


def normalize_proxy(proxy: str, variable: str) -> str:
    """Return a proxy's URL with a scheme that all libraries know.

    Raises Unprepared if there is none; the text may hold a password and is not repeated.
    """
    text = proxy if "://" in proxy else f"http://{proxy}"
    try:
        parts = urlsplit(re.sub(r"^socks://", "socks5://", text.strip(), flags=re.IGNORECASE))
        good = parts.scheme in USABLE and parts.hostname and parts.port != 0
    except ValueError:
        parts, good = SplitResult("", "", "", "", ""), False
    if not good:
        what = f"scheme {parts.scheme!r}" if parts.scheme not in ("", *USABLE) else "no such URL"
        hint = f"name one as http://HOST:PORT or socks5://HOST:PORT, or unset {variable}"
        raise Unprepared(f"{variable} names a proxy that cannot be used: {what}", hint=hint)
    # Go's own ports, said: libraries have others, or none.
    port = "" if parts.port else f":{PROXY_PORTS.get(parts.scheme, 1080)}"
    return parts._replace(netloc=f"{parts.netloc.rstrip(':')}{port}").geturl()


def set_proxy_variables() -> None:
    """Make this process's libraries read proxies that they can use, and none for this machine.

    What the person's shell said is kept beside it, for all that is decided here. Safe to repeat.
    """
    said = _said()
    entries = [e for e in map(no_proxy.for_libraries, _no_proxy(said)) if e]
    left = {**_usable_ones(said), "NO_PROXY": ",".join(entries)}
    os.environ[SAVED_VARIABLE] = json.dumps({"said": said, "left": left})
    for name in (*NAMES, *map(str.lower, NAMES)):
        os.environ.pop(name, None)
    os.environ.update(_both(left, entries))


def no_proxy_variables(hosts: Iterable[str]) -> dict[str, str]:
    """Return the variables with which this process's libraries ask these hosts directly, too."""
    known = os.environ.get("NO_PROXY", "") or os.environ.get("no_proxy", "")
    return _both({}, [*no_proxy.entries(known), *hosts])


def for_programs(everything: bool = False) -> dict[str, str]:
    """Return the variables that programs get. With `everything`, ALL_PROXY fills in for others.

    Without it they choose as kubectl does, with it as curl does.
    """
    said = _said()
    found = {k: v.replace("socks5h://", "socks5://") for k, v in _usable_ones(said).items()}
    if everything and "ALL_PROXY" in found:
        found = {**dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY"), found["ALL_PROXY"]), **found}
    return _both(found, _no_proxy(said))


def _variable(url: str, *more: str) -> str:
    found = None if _is_direct(url) else _named(urlsplit(url), _said(), *more)
    return found[0] if found else ""


def _chosen(url: str, *more: str) -> str | None:
    if _is_direct(url) or not (found := _named(urlsplit(url), _said(), *more)):
        return None
    return normalize_proxy(found[1], found[0])


def _named(url: SplitResult, said: Mapping[str, str], *more: str) -> tuple[str, str] | None:
    first = "HTTPS_PROXY" if url.scheme in SECURE else "HTTP_PROXY"
    return next(((name, said[name]) for name in (first, *more) if said.get(name)), None)


def _said() -> dict[str, str]:
    """Return the person's words by upper-case names; the lists of both spellings are one."""
    if kept := os.environ.get(SAVED_VARIABLE):
        return _changed(**json.loads(kept))
    # The lower case comes first, as for curl and Python, and empty means none.
    said = {n: os.environ.get(n.lower(), os.environ.get(n, "")).strip() for n in NAMES}
    both = f"{os.environ.get('no_proxy', '')},{os.environ.get('NO_PROXY', '')}"
    return {**said, "NO_PROXY": ",".join(dict.fromkeys(no_proxy.entries(both)))}


def _changed(said: dict[str, str], left: Mapping[str, str]) -> dict[str, str]:
    """Return what was said, or was since: by a deployment's own variables of a run."""
    for name in NAMES[:3]:
        now = [os.environ.get(n, "") for n in (name, name.lower())]
        said[name] = next((text for text in now if text != left.get(name, "")), said[name])
    known = no_proxy.entries(left["NO_PROXY"])
    added = [e for e in no_proxy.entries(os.environ.get("NO_PROXY", "")) if e not in known]
    return {**said, "NO_PROXY": ",".join([*no_proxy.entries(said["NO_PROXY"]), *added])}


def _usable_ones(said: Mapping[str, str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name in NAMES[:3]:
        try:
            found |= {name: normalize_proxy(said[name], name)} if said.get(name) else {}
        except Unprepared:
            continue  # told where it is needed
    return found


def _both(proxies: Mapping[str, str], entries: Iterable[str]) -> dict[str, str]:
    found = {**proxies, "NO_PROXY": ",".join(dict.fromkeys(entries))}
    return {**found, **{name.lower(): value for name, value in found.items()}}


def _no_proxy(said: Mapping[str, str]) -> list[str]:
    return list(dict.fromkeys([*no_proxy.entries(said.get("NO_PROXY", "")), *DIRECT, *_labs()]))


def _labs() -> Iterator[str]:
    """Give the networks of this home's labs, should they not be where labs usually are."""
    try:
        records = list(state.home().glob("environments/*/network.json"))
    except (Unprepared, OSError):
        return  # there is none, and whoever needs one is told so
    for record in records:
        with suppress(OSError, ValueError, KeyError, TypeError):
            yield str(ipaddress.ip_network(json.loads(record.read_text())["subnet"]))


def _is_direct(url: str) -> bool:
    parts = urlsplit(url)
    host, port = (parts.hostname or "").rstrip("."), parts.port or PORTS.get(parts.scheme, 0)
    return any(no_proxy.matches(entry.lower(), host, port) for entry in _no_proxy(_said()))
