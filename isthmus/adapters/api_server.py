"""The one place that talks to Kubernetes API servers: requests, and commands in pods."""

from collections.abc import Callable
from contextlib import suppress
from functools import cached_property
from typing import Any, TypeVar
from urllib.parse import urlencode

from kubernetes import client
from kubernetes.client.exceptions import ApiException
from urllib3 import Timeout

from isthmus import polling
from isthmus.adapters import kube_client, kube_errors, pod_exec
from isthmus.adapters.kube_errors import Expired, translate_errors
from isthmus.errors import ClusterUnreachable, IsthmusError, NotReady
from isthmus.step_results import Access

T = TypeVar("T")
RETRY_INTERVAL = 0.4
"""Seconds from one try to the next."""
APPLY = "application/apply-patch+yaml"
"""The content of a request that makes an object as it is wanted, be it there or not."""
PAGE = "500"
"""Objects in one answer to a list, as kubectl has it."""


class ApiServer:
    """An API server, asked by one client as its kubeconfig says."""

    def __init__(self, access: Access) -> None:
        self.access = access

    @cached_property
    def api(self) -> client.ApiClient:
        """The client of all requests: one login, as a plugin may ask a person."""
        return self._login()

    def _login(self) -> client.ApiClient:
        with translate_errors(self.access, "read its kubeconfig"):
            # A request is repeated here, where the run may be told to end meanwhile.
            return kube_client.new_client(self.access, retries=False)

    def _renew_credentials(self) -> bool:
        """Take new credentials, which a login plugin or a file may give; tell whether they differ.

        A plugin need not say when its token ends, and a server may take one no more before.
        """
        fresh = self._login()
        if kube_client.credentials(fresh) == kube_client.credentials(self.api):
            return False
        self.__dict__["api"] = fresh
        return True

    def request(self, method: str, path: str, body: Any = None, content: str = "") -> Any:
        """Return the server's answer to one request; None if it says 404 to a GET or DELETE.

        An answer that may pass (429, 5xx, a connection that is cut) is asked for again, as every
        request of ours may be repeated; raises ClusterUnreachable with the last one once the
        limit `retry` has run out, Rejected at once for what will not pass.
        """
        what = f"{method} {path.split('?')[0]}"
        return retry_call(lambda: (self._ask(method, path, body, content),), what)[0]

    def list_items(self, path: str, chosen: dict[str, str]) -> list[Any]:
        """Return all items of a list, a page at a time: a cluster may have thousands of others'.

        A page that has expired is begun anew without pages, as client-go does (tools/pager).
        """
        found: list[Any] = []
        page = {"limit": PAGE}
        while True:
            try:
                answer = self.request("GET", f"{path}?{urlencode({**chosen, **page})}")
            except Expired:
                if not page:
                    raise
                found, page = [], {}
                continue
            found += (answer or {}).get("items") or []
            if not (more := (answer or {}).get("metadata", {}).get("continue")):
                return found
            page = {"limit": PAGE, "continue": more}

    def _ask(self, method: str, path: str, body: Any, content: str) -> Any:
        headers = {"Accept": "application/json"}
        if body is not None:
            headers["Content-Type"] = content or "application/json"
        doing = f"{method} {path.split('?')[0]}"
        with translate_errors(self.access, doing, applies=content == APPLY):
            try:
                data = self._once(method, path, headers, body)
            except ApiException as error:
                if error.status == 404 and method in ("GET", "DELETE"):
                    return None
                if error.status != 401 or not self._renew_credentials():
                    raise
                data = self._once(method, path, headers, body)
        return kube_errors.read(data, path, self.access.cluster)

    def _once(self, method: str, path: str, headers: dict[str, str], body: Any) -> bytes:
        if method != "GET":
            polling.run_change_check()  # each time: the turn may end between two tries
        prepared = self.api.param_serialize(
            method, path, header_params=dict(headers), body=body, auth_settings=["BearerToken"]
        )
        response = self.api.call_api(*prepared, _request_timeout=_limits())
        data: bytes = response.read()
        if response.status >= 400:
            raise kube_errors.refusal(response, data)
        kube_errors.check_whole(response.headers, data)
        return data

    def raw(
        self, method: str, path: str, headers: dict[str, str], body: bytes
    ) -> tuple[int, str, bytes]:
        """Return status, content type and body of one answer, whatever it is.

        Raises what urllib3 raises if there is none.
        """
        answer = self._raw(method, path, headers, body)
        if answer.status == 401 and self._renew_credentials():
            answer = self._raw(method, path, headers, body)
        if answer.status < 400:
            kube_errors.check_whole(answer.headers, answer.data)
        return answer.status, answer.headers.get("Content-Type", ""), answer.data

    def _raw(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Any:
        if method != "GET":
            polling.run_change_check()
        headers = {**self.api.default_headers, **headers}
        self.api.update_params_for_auth(headers, [], ["BearerToken"], path, method, body)
        url = self.api.configuration.host.rstrip("/") + path
        connect, read = _limits()
        return self.api.rest_client.pool_manager.request(
            method,
            url,
            body=body or None,
            headers=headers,
            timeout=Timeout(connect=connect, read=read),
            retries=False,
        )

    def execute(self, pod: str, namespace: str, container: str, argv: list[str]) -> pod_exec.Output:
        """Return what a command in a container printed, whole, and its exit code.

        Raises ClusterUnreachable if the connection was cut before its end: then it may be repeated;
        KubeletUnreachable, with the node, if the API server has no way to it.
        """
        try:
            with translate_errors(self.access, f"exec in {namespace}/{pod}"):
                name = self.access.cluster
                return pod_exec.run(self.api, name, pod, namespace, container, argv)
        except pod_exec.KubeletUnreachable as error:
            with suppress(IsthmusError, KeyError, TypeError):
                found = self.request("GET", f"/api/v1/namespaces/{namespace}/pods/{pod}")
                error.message += f" (node {found['spec']['nodeName']})"
            raise


def retry_call(ask: Callable[[], T], what: str) -> T:
    """Return what `ask` does, asked again for as long as `retry` if that may pass.

    Then raises its own last error, and not a step's limit that ran out: a step may ask once more.
    """
    try:
        return polling.until(ask, what, timeout=polling.timeouts().retry, interval=RETRY_INTERVAL)
    except (ClusterUnreachable, NotReady) as error:
        raise error.__cause__ or error from None


def _limits() -> tuple[float, float]:
    """Return the seconds for a connection and for the answer."""
    limits = polling.timeouts()
    return limits.connect, limits.request
