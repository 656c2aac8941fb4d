"""Kubeconfig files: one merged file an environment, so that no tool ever needs a person's own."""

import base64
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import yaml

from isthmus import state
from isthmus.errors import Unprepared
from isthmus.step_results import Access


def merge(accesses: Iterable[Access], path: Path) -> Path:
    """Make `path` (0600) reach every cluster, by a context of the cluster's name."""
    merged: dict[str, Any] = {"apiVersion": "v1", "kind": "Config", "preferences": {}}
    merged |= {"clusters": [], "users": [], "contexts": []}
    for access in accesses:
        cluster, user = _parts(access)
        name = access.cluster
        merged["clusters"].append({"name": name, "cluster": cluster})
        merged["users"].append({"name": name, "user": user})
        merged["contexts"].append({"name": name, "context": {"cluster": name, "user": name}})
        merged.setdefault("current-context", name)
    text = yaml.safe_dump(merged, sort_keys=False)
    if not path.exists() or path.read_text() != text:
        state.write_private(path, text)
    return path


def server(access: Access) -> tuple[str, str]:
    """Return the URL at which other clusters reach the API server, and its CA.

    The CA is base64 of PEM; empty if the kubeconfig has none.
    """
    cluster, _ = _parts(access)
    return access.server or str(cluster["server"]), str(
        cluster.get("certificate-authority-data", "")
    )


def server_name(access: Access) -> str:
    """Return the name that the API server's certificate has instead of its URL's host, if said.

    It is said of the kubeconfig's own URL, and holds for no other.
    """
    return "" if access.server else str(_parts(access)[0].get("tls-server-name", ""))


def proxy(access: Access) -> str:
    """Return the proxy that the kubeconfig names for its own URL, if any; for no other one."""
    return "" if access.server else str(_parts(access)[0].get("proxy-url", ""))


def kubefed_cluster_spec(access: Access) -> dict[str, str]:
    """Return what a KubeFedCluster says of the way to the cluster: URL, CA and proxy, if any."""
    cluster, _ = _parts(access)
    url, authority = server(access)
    way = {"apiEndpoint": url, "caBundle": authority, "proxyURL": cluster.get("proxy-url")}
    return {key: str(value) for key, value in way.items() if value}


def _parts(access: Access) -> tuple[dict[str, Any], dict[str, Any]]:
    document = _document(access)
    context = _named(document, "contexts", access.context, access)
    for part in ("cluster", "user"):
        if not context.get(part):
            text = f"{access.kubeconfig}: context {access.context!r} names no {part}"
            raise Unprepared(text, cluster=access.cluster, hint=get_contexts_command(access))
    cluster = _named(document, "clusters", context["cluster"], access)
    user = _named(document, "users", context["user"], access)
    folder = access.kubeconfig.resolve().parent
    try:
        return _inlined(cluster, folder), _inlined(user, folder)
    except Unprepared as error:
        error.cluster = access.cluster
        raise


def _document(access: Access) -> dict[str, Any]:
    try:
        document = yaml.safe_load(access.kubeconfig.read_bytes())
    except (OSError, yaml.YAMLError) as error:
        text = (
            f"{access.kubeconfig}: cannot be read as a kubeconfig: {' '.join(str(error).split())}"
        )
        raise Unprepared(text, cluster=access.cluster, hint=get_contexts_command(access)) from None
    if isinstance(document, dict):
        return document
    text = (
        f"{access.kubeconfig}: not a kubeconfig: it holds {type(document).__name__}, not a mapping"
    )
    raise Unprepared(text, cluster=access.cluster, hint=get_contexts_command(access))


def _named(document: dict[str, Any], section: str, name: str, access: Access) -> dict[str, Any]:
    listed = document.get(section)
    entries = listed if isinstance(listed, list) else []
    found = next((e for e in entries if isinstance(e, dict) and e.get("name") == name), None)
    if found is None:
        text = f"{access.kubeconfig}: no {section[:-1]} {name!r} in it"
        raise Unprepared(text, cluster=access.cluster, hint=get_contexts_command(access))
    content = found.get(section[:-1]) or {}
    if not isinstance(content, dict):
        text = f"{access.kubeconfig}: {section[:-1]} {name!r} is no mapping"
        raise Unprepared(text, cluster=access.cluster, hint=get_contexts_command(access))
    return content


def get_contexts_command(access: Access) -> str:
    """Return the command that shows which contexts a kubeconfig has."""
    return f"kubectl --kubeconfig {access.kubeconfig} config get-contexts"


def _inlined(entry: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Put files that the entry names into it, and name those whose content changes by full paths.

    Data wins over a file, and an empty path is none, as in client-go (rest/config.go);
    a plugin's command with a slash is relative to the file, another one is looked for on the PATH.
    Raises Unprepared for a file that is not there.
    """
    result = {key: value for key, value in entry.items() if value not in ("", None)}
    for key in ("certificate-authority", "client-certificate", "client-key"):
        path = result.pop(key, None)
        if path and f"{key}-data" not in result:
            result[f"{key}-data"] = base64.b64encode(_content(key, folder / path)).decode()
    if result.get("insecure-skip-tls-verify") and result.get("certificate-authority-data"):
        text = "its kubeconfig has both a certificate authority and insecure-skip-tls-verify"
        raise Unprepared(text, hint="kubectl refuses that too: delete the latter")
    if path := result.get("tokenFile"):
        result["tokenFile"] = str(folder / path)
    command = (result.get("exec") or {}).get("command", "")
    if "/" in command:
        result["exec"] = {**result["exec"], "command": str(folder / command)}
    return result


def _content(key: str, path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        text = f"{key} of its kubeconfig cannot be read: {path}: {error.strerror}"
        raise Unprepared(text, hint=f"put the file there, or its content into {key}-data") from None


def federation_blocker(access: Access) -> Unprepared | None:
    """Return why KubeFed must not be told of this cluster as its kubeconfig has it, if so.

    `kubefedctl join` writes a proxy's URL, password included, and a switched-off TLS check into the
    KubeFedCluster, where everybody with read rights in the host finds them and KubeFed obeys them
    (kubefed pkg/kubefedctl/join.go).
    """
    cluster, _ = _parts(access)
    other = "or take `federation: direct`, which needs neither"
    if urlsplit(str(cluster.get("proxy-url", ""))).password:
        return Unprepared(
            "the proxy-url of its kubeconfig has a password, which KubeFed would store in its "
            "KubeFedCluster for every reader of the host",
            cluster=access.cluster,
            hint=f"name a proxy without one, {other}",
        )
    if cluster.get("insecure-skip-tls-verify") and not cluster.get("certificate-authority-data"):
        return Unprepared(
            "its kubeconfig says insecure-skip-tls-verify: KubeFed's token for it would go over "
            "TLS that nobody verifies",
            cluster=access.cluster,
            hint=f"put its CA into certificate-authority-data instead, {other}",
        )
    return None


def impersonation_headers(access: Access) -> dict[str, str]:
    """Return the headers by which requests are made as whom the kubeconfig says (`as`), as kubectl.

    Source: client-go transport/round_trippers.go. Raises Unprepared for what one header each cannot
    say: several groups or values.
    """
    _, user = _parts(access)
    headers = {"Impersonate-User": user.get("as"), "Impersonate-Uid": user.get("as-uid")}
    many = {"Impersonate-Group": user.get("as-groups") or []}
    for name, values in (user.get("as-user-extra") or {}).items():
        many[f"Impersonate-Extra-{quote(name, safe='').lower()}"] = values
    for name, values in many.items():
        if len(values) > 1:
            raise Unprepared(
                f"its kubeconfig impersonates several groups or extras at once ({name})",
                cluster=access.cluster,
                hint="name one in `as-groups`, or give the account itself the rights",
            )
        headers[name] = values[0] if values else None
    return {name: str(value) for name, value in headers.items() if value}
