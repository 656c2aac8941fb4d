"""Names of images, as text: pure, and as Docker and containerd read them.

Source: distribution/reference, ParseDockerRef: what has no host is Docker Hub's, and there what
has no path is in `library`; what has neither tag nor digest has the tag `latest`.
"""

import re

HUB = "docker.io"
_WHOLE = re.compile(
    r"[A-Za-z0-9][-A-Za-z0-9.]*(:[0-9]+)?(/[a-z0-9]+(([._]|__|-+)[a-z0-9]+)*)+"
    r"(:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(@sha(256:[0-9a-f]{64}|512:[0-9a-f]{128}))?"
)


def normalize_name(name: str) -> str:
    """Return the name with host, path and tag, as a node asks for it.

    Raises ValueError if it is no image's.
    """
    host, path = _split(name)
    if host == HUB and "/" not in path:
        path = f"library/{path}"
    tail = path.rpartition("/")[2]
    full = f"{host}/{path}" if ":" in tail or "@" in tail else f"{host}/{path}:latest"
    if not _WHOLE.fullmatch(full):
        raise ValueError(f"invalid image name: {name[:60]!r}")
    return full


def with_registry(registry: str, name: str) -> str:
    """Return where a registry has an image or a hub: the host is replaced, the path is kept.

    `registry` is a registry and a path, or a registry alone; `name` is an image's whole name, or
    a hub, which has no tag.
    """
    return f"{registry}/{_split(name)[1]}"


def _split(name: str) -> tuple[str, str]:
    first, _, rest = name.partition("/")
    is_host = "." in first or ":" in first or first == "localhost"
    return (first, rest) if rest and is_host else (HUB, name)
