"""The one place that talks to Kubernetes API servers: requests, and commands in pods."""

import json
from functools import cached_property
from typing import Any

from kubernetes import client
from kubernetes.client.exceptions import ApiException

from isthmus import waiting
from isthmus.adapters import connecting, pod_exec
from isthmus.adapters.refusals import translating
from isthmus.errors import ClusterUnreachable
from isthmus.facts import Access

TIMEOUT = 15.0
"""Seconds that one request may take."""
AGAIN = 5.0
"""Seconds in which a request is made again; an API server's Retry-After is 1
(k8s.io/apiserver pkg/server/filters/maxinflight.go), and one that is down stays so for longer."""
PAUSE = 0.4
"""Seconds from one try to the next."""


class ApiServer:
    """An API server, asked by one client as its kubeconfig says."""

    def __init__(self, access: Access) -> None:
        self.access = access

    @cached_property
    def _api(self) -> client.ApiClient:
        with translating(self.access, "read its kubeconfig"):
            # A request is repeated here, where the run may be told to end meanwhile.
            return connecting.new_client(self.access, retries=False)

    def request(self, method: str, path: str, body: Any = None, content: str = "") -> Any:
        """Return the server's answer to one request; None if it says 404 to a GET or DELETE.

        An answer that may pass (429, 5xx, a connection that is cut) is asked for again, as every
        request of ours may be repeated; raises ClusterUnreachable with the last one after AGAIN
        seconds, Rejected at once for what will not pass.
        """
        if method != "GET":
            waiting.before_change()
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

    def _ask(self, method: str, path: str, body: Any, content: str) -> Any:
        headers = {"Accept": "application/json"}
        if body is not None:
            headers["Content-Type"] = content or "application/json"
        with translating(self.access, f"{method} {path.split('?')[0]}"):
            try:
                prepared = self._api.param_serialize(
                    method, path, header_params=headers, body=body, auth_settings=["BearerToken"]
                )
                response = self._api.call_api(*prepared, _request_timeout=TIMEOUT)
                data = response.read()
                if response.status >= 400:
                    raise _refusal(response, data)
            except ApiException as error:
                if error.status == 404 and method in ("GET", "DELETE"):
                    return None
                raise
        return json.loads(data) if data[:1] in (b"{", b"[") else data.decode()

    def execute(self, pod: str, namespace: str, container: str, argv: list[str]) -> pod_exec.Output:
        """Return what a command in a container printed, whole, and its exit code.

        Raises ClusterUnreachable if the connection was cut before its end: then it may be repeated.
        """
        with translating(self.access, f"exec in {namespace}/{pod}"):
            name = self.access.cluster
            return pod_exec.run(self._api, name, pod, namespace, container, argv)


def _refusal(response: Any, data: bytes) -> ApiException:
    refusal = ApiException(
        status=response.status, reason=response.reason, body=data.decode(errors="replace")
    )
    refusal.headers = response.headers
    return refusal
