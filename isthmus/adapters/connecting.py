"""A client for one API server, as its kubeconfig says, through the proxy kubectl would take."""

from urllib.parse import unquote, urlsplit

from kubernetes import client, config
from urllib3.util import make_headers

from isthmus.adapters import web_proxy
from isthmus.facts import Access

KEY = "proxy-url"
"""Of a cluster in a kubeconfig: its proxy, whatever the shell says."""


def new_client(access: Access, retries: bool | None = None) -> client.ApiClient:
    """Return a client of its own; it asks as often as urllib3 does, unless `retries` is False.

    Raises Unprepared if it needs a proxy that cannot be used, else what the library raises.
    """
    # Not None, as with that the library takes whatever proxy it finds in the shell.
    configuration = client.Configuration(proxy="", no_proxy="", retries=retries)
    config.load_kube_config(
        config_file=str(access.kubeconfig),
        context=access.context,
        client_configuration=configuration,
        persist_config=False,
    )
    choose(configuration)
    return client.ApiClient(configuration)


def choose(configuration: client.Configuration) -> None:
    """Make a loaded configuration use its own proxy, or else the one that kubectl would take."""
    named = configuration.proxy
    proxy = web_proxy.usable(named, KEY) if named else web_proxy.of_cluster(configuration.host)
    configuration.no_proxy, configuration.proxy = "", proxy or ""
    parts = urlsplit(proxy or "")
    if proxy and parts.username and not parts.scheme.startswith("socks"):
        # urllib3 takes user and password of an HTTP proxy as a header alone.
        pair = f"{parts.username}:{parts.password or ''}"
        configuration.proxy_headers = make_headers(proxy_basic_auth=_unquoted(pair))
        configuration.proxy = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def _unquoted(pair: str) -> str:
    return unquote(pair)
