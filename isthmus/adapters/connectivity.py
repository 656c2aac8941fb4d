"""Whether an API server can be had at all, and if not, why: each cause in words of its own."""

import errno
import ipaddress
import json
import socket
from urllib.parse import urlsplit

from kubernetes import client
from kubernetes.client.exceptions import ApiException
from urllib3 import exceptions as http

from isthmus import polling
from isthmus.adapters import kube_errors, web_proxy
from isthmus.adapters.api_server import ApiServer, retry_call
from isthmus.adapters.kube_errors import RETRYABLE
from isthmus.errors import ClusterUnreachable, IsthmusError, NotReady, Unprepared
from isthmus.step_results import Access

ERRNO_MESSAGES = {
    errno.ECONNREFUSED: "connection refused: nothing listens there",
    errno.EHOSTUNREACH: "no route to host",
    errno.ENETUNREACH: "network is unreachable",
    errno.ECONNRESET: "connection reset by peer",
}


def get_server_version(server: ApiServer) -> tuple[str, str]:
    """Return the API server's URL and version.

    What may pass (429, 5xx, an answer that is cut) is asked for again, as all else is; a server
    that is away is told of at once, and not after several timeouts. Raises ClusterUnreachable if it
    does not answer, Unprepared if the kubeconfig is no good for it.
    """
    access, api = server.access, server.api
    url = str(api.configuration.host)
    return url, retry_call(lambda: _version(access, api), url)


def _version(access: Access, api: client.ApiClient) -> str:
    try:
        prepared = api.param_serialize("GET", "/version", auth_settings=["BearerToken"])
        limits = polling.timeouts()
        answer = api.call_api(*prepared, _request_timeout=(limits.connect, limits.request))
        body = answer.read()
        if answer.status >= 400:
            raise ApiException(status=answer.status, reason=answer.reason)
        return str(json.loads(body)["gitVersion"])
    except (ApiException, http.HTTPError, OSError, ValueError, KeyError, TypeError) as error:
        found = refusal(access, str(api.configuration.host), error)
        if isinstance(error, ApiException) and error.status == 401:
            found.message += kube_errors.describe_expired(api.configuration)
        if isinstance(found, ClusterUnreachable) and not _may_pass(error):
            found.timed_out = True
        raise found from None


def _may_pass(error: Exception) -> bool:
    if isinstance(error, ApiException):
        return error.status in RETRYABLE - {0}
    return isinstance(error, http.ProtocolError | ValueError)


def tcp_error(address: str, port: int) -> str:
    """Return nothing if there is a TCP connection to be had at `address:port`, else why not."""
    try:
        with socket.create_connection((address, port), timeout=polling.timeouts().connect):
            return ""
    except OSError as error:
        return str(error)


def resolve(name: str, cluster: str) -> list[str]:
    """Return the addresses of a load balancer's host name; of an address, itself.

    IPv6 addresses are those of a name that has no other. Raises NotReady if it has none: a cloud's
    DNS tells a new name a minute late.
    """
    try:
        return [str(ipaddress.ip_address(name))]
    except ValueError:
        pass
    try:
        found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except OSError as error:
        text = f"its load balancer's host name {name} cannot be resolved here (DNS: {error})"
        raise NotReady(text, cluster=cluster) from None
    first = [entry for entry in found if entry[0] == socket.AF_INET] or found
    return sorted({str(where[0]) for *_, where in first})


def refusal(access: Access, server: str, error: Exception) -> IsthmusError:
    """Return what a failed request to an API server means, and what to do about it."""
    if isinstance(error, ApiException) and error.status:
        return _answered(access, server, error.status)
    seen, hint = _behind_proxy(server, error) or _unanswered(error)
    return ClusterUnreachable(f"{server}: {seen}", cluster=access.cluster, hint=hint)


def _answered(access: Access, server: str, status: int) -> IsthmusError:
    who = f"the account of context {access.context!r}"
    if status == 401:
        message = f"{server}: HTTP 401 Unauthorized: the token or certificate of {who} is wrong, "
        hint = f"get new credentials and put them into {access.kubeconfig}"
        return Unprepared(f"{message}has expired or was revoked", cluster=access.cluster, hint=hint)
    if status == 403:
        message = f"{server}: HTTP 403 Forbidden: {who} may not even get /version"
        hint = "give it the rights that docs/kubeconfig.md lists"
        return Unprepared(message, cluster=access.cluster, hint=hint)
    hint = "is it an API server, and well? kubectl get --raw /readyz"
    message = f"{server} answers HTTP {status} when asked for its version"
    return ClusterUnreachable(message, cluster=access.cluster, hint=hint)


def _unanswered(error: Exception) -> tuple[str, str]:
    if isinstance(error, http.NameResolutionError):
        return "its name does not resolve (DNS)", "correct `server:` in the kubeconfig, or DNS here"
    # A connection that is refused is a timeout too, as urllib3 has it.
    if isinstance(error, http.TimeoutError) and not isinstance(error, http.NewConnectionError):
        limits = polling.timeouts()
        opening = isinstance(error, http.ConnectTimeoutError)
        return (
            f"no answer within {limits.connect if opening else limits.request} s",
            "does a firewall, a VPN or an allow-list of addresses stand between here and it?",
        )
    if isinstance(error, ApiException):
        # The client gives no status, and as the reason what TLS said, to nothing else.
        said = str(error.reason).partition("\n")[2]
        return f"TLS fails: {said}", _about_tls(said)
    if isinstance(error, ValueError | KeyError | TypeError):
        return "what answers there is not an API server", "correct `server:` in the kubeconfig"
    seen = next((said for n, said in ERRNO_MESSAGES.items() if _is(error, n)), str(error))
    return seen, "does the cluster run, and is `server:` in the kubeconfig its address?"


def _behind_proxy(server: str, error: Exception) -> tuple[str, str] | None:
    """Return what to say if a proxy that stands in between does not do its part."""
    if not any(sign in str(error) for sign in web_proxy.PROXY_ERROR_SIGNS):
        return None
    name, host = web_proxy.variable_of_cluster(server), urlsplit(server).hostname
    if not name:
        return (
            f"connecting through its proxy failed: {error}",
            "look at proxy-url in the kubeconfig",
        )
    hint = (
        f"is the proxy in {name} up, and may it connect to {host}? or ask past it: NO_PROXY={host}"
    )
    return f"connecting through the proxy in {name} failed: {error}", hint


def _is(error: Exception, number: int) -> bool:
    named = f"Errno {number}]" in str(error)
    return named or getattr(error, "errno", None) == number


def _about_tls(text: str) -> str:
    if "alert" in text and "certificate" in text:
        return "the server refuses the kubeconfig's client certificate: get a new one"
    if "expired" in text:
        return "the server's certificate has expired: renew it there (or is the clock here wrong?)"
    if "mismatch" in text or "not valid for" in text:
        return "put a name or address that the server's certificate has into `server:`"
    if "WRONG_VERSION" in text or "RECORD" in text:
        return "what listens there does not speak TLS: correct `server:` in the kubeconfig"
    return "put the CA that signed the server's certificate into the kubeconfig"
