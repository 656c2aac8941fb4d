"""A client for one API server, as its kubeconfig says, through the proxy kubectl would take."""

import shutil
import ssl
import tempfile
import threading
import time
from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import unquote, urlsplit

from kubernetes import client, config
from kubernetes.config import kube_config
from kubernetes.config.config_exception import ConfigException
from urllib3.util import make_headers
from yaml import YAMLError

from isthmus import state
from isthmus.adapters import exec_plugins, kubeconfigs, web_proxy
from isthmus.errors import Unprepared
from isthmus.step_results import Access

KEY = "proxy-url"
"""Of a cluster in a kubeconfig: its proxy, whatever the shell says."""
KEY_FOLDER_PREFIX = "client-keys-"
"""What a folder's name begins with in which a client's key lies for the moment of its loading."""
STALE_FOLDER_SECONDS = 60.0
"""Seconds after which such a folder is a killed run's."""
UNUSABLE = (ConfigException, YAMLError, TypeError, AttributeError, ValueError, KeyError, OSError)
"""What the library raises of a kubeconfig that is none, or that names files that are none."""
_loading = threading.Lock()


def new_client(access: Access, retries: bool | None = None) -> client.ApiClient:
    """Return a client of its own; it asks as often as urllib3 does, unless `retries` is False.

    Its keys are in memory alone. Raises Unprepared if the kubeconfig is no good, if it
    names what is not there, or a proxy that cannot be used.
    """
    headers = kubeconfigs.impersonation_headers(access)
    try:
        api = _load(access, retries)
    except Unprepared as error:
        error.cluster = error.cluster or access.cluster
        raise
    except UNUSABLE as error:
        text = f"{access.kubeconfig}, context {access.context!r}: {error}"
        raise Unprepared(
            text, cluster=access.cluster, hint=kubeconfigs.get_contexts_command(access)
        ) from None
    for name, value in headers.items():
        api.set_default_header(name, value)
    return api


def _load(access: Access, retries: bool | None) -> client.ApiClient:
    # Not None, as with that the library takes whatever proxy it finds in the shell.
    configuration = client.Configuration(proxy="", no_proxy="", retries=retries)
    with _loading, private_folder() as folder:
        try:
            with exec_plugins.raise_plugin_errors(access):
                config.load_kube_config(
                    config_file=str(access.kubeconfig),
                    context=access.context,
                    client_configuration=configuration,
                    persist_config=False,
                    temp_file_path=str(folder),
                )
            context = _context(configuration)
            configuration.certificate = _bytes(configuration.cert_file)
        finally:
            # It keeps a table of its files, in which the next client would find ours.
            kube_config._cleanup_temp_files()
    configuration.ssl_ca_cert = configuration.cert_file = configuration.key_file = None
    configuration.api_key = _stripped(configuration.api_key)
    set_proxy(configuration)
    _renew_tokens_alone(configuration)
    api = client.ApiClient(configuration)
    api.rest_client.pool_manager.connection_pool_kw["ssl_context"] = context
    return api


def credentials(api: client.ApiClient) -> tuple[str, bytes]:
    """Return what tells one login from another: the token and the certificate that are shown."""
    configuration = api.configuration
    return str(configuration.api_key.get("BearerToken")), configuration.certificate


def _renew_tokens_alone(configuration: client.Configuration) -> None:
    """Have the library renew a token that ends, as it does before each request, and nothing else.

    It would also bring back the kubeconfig's proxy as it is written, and files that are gone.
    """
    if not (renew := configuration.refresh_api_key_hook):
        return

    def renewed(own: client.Configuration) -> None:
        found = SimpleNamespace(api_key={})
        renew(found)
        own.api_key.update(_stripped(found.api_key))

    configuration.refresh_api_key_hook = renewed


def _stripped(tokens: dict[str, str]) -> dict[str, str]:
    """Return tokens as a header may hold them: a file's ends with a newline, often."""
    return {name: token.strip() for name, token in tokens.items()}


def websocket_ssl_options(api: client.ApiClient) -> dict[str, Any]:
    """Return the options with which a websocket's TLS is that of the client's requests."""
    name = api.configuration.tls_server_name
    options = {"context": api.rest_client.pool_manager.connection_pool_kw["ssl_context"]}
    return options | ({"server_hostname": name} if name else {})


def _context(configuration: client.Configuration) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=configuration.ssl_ca_cert or None)
    # As kubectl: many a cluster's CA lacks an extension that strictness wants (RFC 5280).
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    if not configuration.verify_ssl:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if configuration.cert_file:
        context.load_cert_chain(configuration.cert_file, configuration.key_file)
    return context


@contextmanager
def private_folder() -> Iterator[Path]:
    """Give a folder (0700) for files with keys or tokens; it is gone after.

    What a killed run left is removed with the next one.
    """
    home = state.home()
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    for old in home.glob(f"{KEY_FOLDER_PREFIX}*"):
        if _age(old) > STALE_FOLDER_SECONDS:
            shutil.rmtree(old, ignore_errors=True)
    with tempfile.TemporaryDirectory(
        prefix=KEY_FOLDER_PREFIX, dir=home, ignore_cleanup_errors=True
    ) as folder:
        yield Path(folder)


def _age(path: Path) -> float:
    try:
        return time.time() - path.stat().st_mtime
    except OSError:
        return 0.0


def _bytes(path: str | None) -> bytes:
    return Path(path).read_bytes() if path else b""


def set_proxy(configuration: client.Configuration) -> None:
    """Make a loaded configuration use its own proxy, or else the one that kubectl would take."""
    named = configuration.proxy
    proxy = (
        web_proxy.normalize_proxy(named, KEY)
        if named
        else web_proxy.cluster_proxy(configuration.host)
    )
    configuration.no_proxy, configuration.proxy = "", proxy or ""
    parts = urlsplit(proxy or "")
    if proxy and parts.username and not parts.scheme.startswith("socks"):
        # urllib3 takes user and password of an HTTP proxy as a header alone.
        pair = f"{parts.username}:{parts.password or ''}"
        configuration.proxy_headers = make_headers(proxy_basic_auth=_unquoted(pair))
        configuration.proxy = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def proxy_user(configuration: client.Configuration) -> tuple[str, str] | None:
    """Return the user and password of the configuration's proxy, if it has any."""
    if header := (configuration.proxy_headers or {}).get("proxy-authorization"):
        user, _, password = b64decode(header.removeprefix("Basic ")).decode().partition(":")
        return user, password
    parts = urlsplit(configuration.proxy or "")
    return (unquote(parts.username), unquote(parts.password or "")) if parts.username else None


def _unquoted(pair: str) -> str:
    return unquote(pair)
