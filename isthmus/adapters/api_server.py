"""The one place that talks to Kubernetes API servers: requests, and commands in pods."""

import json
from collections.abc import Mapping
from contextlib import suppress
from functools import cached_property
from typing import Any
from urllib.parse import urlencode

from kubernetes import client
from kubernetes.client.exceptions import ApiException
from urllib3.exceptions import ProtocolError

from isthmus import waiting
from isthmus.adapters import connecting, pod_exec
from isthmus.adapters.refusals import Expired, translating
from isthmus.errors import ClusterUnreachable, IsthmusError
from isthmus.facts import Access

TIMEOUT = 15.0
"""Seconds that one request may take."""
AGAIN = 5.0
"""Seconds in which a request is made again; an API server's Retry-After is 1
(k8s.io/apiserver pkg/server/filters/maxinflight.go), and one that is down stays so for longer."""
PAUSE = 0.4
"""Seconds from one try to the next."""
PAGE = "500"
"""Objects in one answer to a list, as kubectl has it."""
OBJECTS = ("/api", "/version", "/openapi")
"""Paths at which an API server answers in JSON; at others, as at /readyz, in words."""
LENGTHS = {"content-length", "transfer-encoding"}
"""Headers by which an answer's end is known."""


class ApiServer:
    """An API server, asked by one client as its kubeconfig says."""

    def __init__(self, access: Access) -> None:
        self.access = access

    @cached_property
    def _api(self) -> client.ApiClient:
        return self._login()

    def _login(self) -> client.ApiClient:
        with translating(self.access, "read its kubeconfig"):
            # A request is repeated here, where the run may be told to end meanwhile.
            return connecting.new_client(self.access, retries=False)

    def _is_renewed(self) -> bool:
        """Take new credentials, which a login plugin or a file may give; tell whether they differ.

        A plugin need not say when its token ends, and a server may take one no more before.
        """
        fresh = self._login()
        if connecting.credentials(fresh) == connecting.credentials(self._api):
            return False
        self.__dict__["_api"] = fresh
        return True

    def request(self, method: str, path: str, body: Any = None, content: str = "") -> Any:
        """Return the server's answer to one request; None if it says 404 to a GET or DELETE.

        An answer that may pass (429, 5xx, a connection that is cut) is asked for again, as every
        request of ours may be repeated; raises ClusterUnreachable with the last one after AGAIN
        seconds, Rejected at once for what will not pass.
        """
        try:
            return waiting.until(
                lambda: (self._ask(method, path, body, content),),
                f"{method} {path.split('?')[0]}",
                timeout=AGAIN,
                interval=PAUSE,
            )[0]
        except ClusterUnreachable as error:
            # Not the limit of a step, which may ask once more.
            raise error.__cause__ or error from None

    def listed(self, path: str, chosen: dict[str, str]) -> list[Any]:
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
        with translating(self.access, f"{method} {path.split('?')[0]}"):
            try:
                data = self._once(method, path, headers, body)
            except ApiException as error:
                if error.status == 404 and method in ("GET", "DELETE"):
                    return None
                if error.status != 401 or not self._is_renewed():
                    raise
                data = self._once(method, path, headers, body)
        return self._document(data, path) if path.startswith(OBJECTS) else data.decode()

    def _document(self, data: bytes, path: str) -> Any:
        try:
            return json.loads(data)
        except ValueError:
            said = data[:80].decode(errors="replace")
            raise ClusterUnreachable(
                f"what answers {path.split('?')[0]} is no API server: {said!r}",
                cluster=self.access.cluster,
                hint="is `server` of the kubeconfig an API server? A login page answers so",
            ) from None

    def _once(self, method: str, path: str, headers: dict[str, str], body: Any) -> bytes:
        if method != "GET":
            waiting.before_change()  # each time: the turn may end between two tries
        prepared = self._api.param_serialize(
            method, path, header_params=dict(headers), body=body, auth_settings=["BearerToken"]
        )
        response = self._api.call_api(*prepared, _request_timeout=TIMEOUT)
        data: bytes = response.read()
        if response.status >= 400:
            raise _refusal(response, data)
        _check_whole(response.headers, data)
        return data

    def raw(
        self, method: str, path: str, headers: dict[str, str], body: bytes, timeout: float
    ) -> tuple[int, str, bytes]:
        """Return status, content type and body of one answer, whatever it is.

        Raises what urllib3 raises if there is none.
        """
        answer = self._raw(method, path, headers, body, timeout)
        if answer.status == 401 and self._is_renewed():
            answer = self._raw(method, path, headers, body, timeout)
        if answer.status < 400:
            _check_whole(answer.headers, answer.data)
        return answer.status, answer.headers.get("Content-Type", ""), answer.data

    def _raw(
        self, method: str, path: str, headers: dict[str, str], body: bytes, timeout: float
    ) -> Any:
        if method != "GET":
            waiting.before_change()
        headers = {**self._api.default_headers, **headers}
        self._api.update_params_for_auth(headers, [], ["BearerToken"], path, method, body)
        url = self._api.configuration.host.rstrip("/") + path
        return self._api.rest_client.pool_manager.request(
            method, url, body=body or None, headers=headers, timeout=timeout, retries=False
        )

    def execute(self, pod: str, namespace: str, container: str, argv: list[str]) -> pod_exec.Output:
        """Return what a command in a container printed, whole, and its exit code.

        Raises ClusterUnreachable if the connection was cut before its end: then it may be repeated;
        KubeletUnreachable, with the node, if the API server has no way to it.
        """
        try:
            with translating(self.access, f"exec in {namespace}/{pod}"):
                name = self.access.cluster
                return pod_exec.run(self._api, name, pod, namespace, container, argv)
        except pod_exec.KubeletUnreachable as error:
            with suppress(IsthmusError, KeyError, TypeError):
                found = self.request("GET", f"/api/v1/namespaces/{namespace}/pods/{pod}")
                error.message += f" (node {found['spec']['nodeName']})"
            raise


def _check_whole(headers: Mapping[str, str], data: bytes) -> None:
    """Raise urllib3's ProtocolError if the answer was cut off, amid its head perhaps.

    Python takes a head that ends early for a whole one. One that names no length is then read until
    the connection ends (RFC 9112, 6.3), which it has: the 200 of an object would be an empty text.
    """
    if LENGTHS & {name.lower() for name in headers}:
        return  # urllib3 has counted
    try:
        json.loads(data)
    except ValueError:
        raise ProtocolError(f"the answer was cut off after {len(data)} bytes") from None


def _refusal(response: Any, data: bytes) -> ApiException:
    refusal = ApiException(
        status=response.status, reason=response.reason, body=data.decode(errors="replace")
    )
    refusal.headers = response.headers
    return refusal
