"""KCE's HTTP API, through the cloud's own SDK: asked, and again if throttled; told in our words."""

import json
import logging
import os
import warnings
from dataclasses import dataclass
from types import ModuleType
from typing import Any
from urllib.parse import urlsplit

from isthmus import polling
from isthmus.adapters import web_proxy
from isthmus.errors import ClusterUnreachable, IsthmusError, Rejected
from isthmus.providers.kce.credentials import (
    ACCESS_KEY_VARIABLE,
    SECRET_KEY_VARIABLE,
    KceCredentials,
)

with warnings.catch_warnings():
    # The SDK silences every warning of the process that imports it.
    from ksyun.client.kce.v20190806 import client as v2019
    from ksyun.client.kce.v20190806 import models as m2019
    from ksyun.client.kce.v20201231 import client as v2020
    from ksyun.client.kce.v20201231 import models as m2020
    from ksyun.client.kce.v20231115 import client as v2023
    from ksyun.client.kce.v20231115 import models as m2023
    from ksyun.common.credential import Credential
    from ksyun.common.exception.ksyun_sdk_exception import KsyunSDKException
    from ksyun.common.profile.client_profile import ClientProfile
    from ksyun.common.profile.http_profile import HttpProfile
# It writes whole answers to its log, kubeconfigs among them. (Prefect would enable it again.)
logging.getLogger("ksyun_sdk_common").addFilter(lambda record: False)

ENDPOINT = "KSYUN_ENDPOINT"
"""Another address of the API, such as the cloud's internal one: the variable of its own tools."""
DOMAIN = "api.ksyun.com"
"""Where the API is unless that says otherwise."""
THROTTLE_RETRY_INTERVAL = 2.0
"""Seconds from one try of a throttled request to the next."""
PAGE = 20
"""Clusters in one answer at most (DescribeCluster, MaxResults)."""
THROTTLING = ("throttl", "toomanyrequests", "requestlimit", "flowlimit")
SERVERS = ("internal", "unavailable", "servicetimeout")
MISSING = ("notfound", "not_found", "not found", "not exist")
"""Parts of error codes; the cloud publishes no list (see terraform-provider-ksyun, errors.go)."""
REFUSED = ("signature", "accesskey", "accessdenied", "unauthorized", "notauthorized", "invalidkey")


class NoAnswer(ClusterUnreachable):
    """The API gave no answer, or none of its own: what was asked for may have been done."""


class Throttled(ClusterUnreachable):
    """The API asks for patience; nothing was done."""


class ClusterNotFound(Rejected):
    """The API knows no such cluster."""


@dataclass(frozen=True)
class KceCluster:
    """A cluster as DescribeCluster lists it."""

    identity: str
    name: str
    description: str
    status: str
    region: str


class KceRegionClient:
    """KCE in one region."""

    def __init__(self, region: str, keys: KceCredentials) -> None:
        self.region, self._keys = region, keys

    def clusters(self, search: str) -> list[KceCluster]:
        """Return all clusters with `search` in their names."""
        found: list[KceCluster] = []
        while True:
            page = {"Search": search, "Marker": len(found), "MaxResults": PAGE}
            answer = self._call(v2023, m2023, "DescribeCluster", page)
            listed = answer.get("ClusterSet") or []
            found += map(self._found, listed)
            # An answer may hold fewer than were asked for, and one that is overlooked is bought.
            if not listed or len(found) >= answer.get("TotalCount", len(found) + 1):
                return found

    def cluster(self, identity: str) -> KceCluster | None:
        """Return the cluster of that identity; None once there is none."""
        try:
            answer = self._call(v2023, m2023, "DescribeCluster", {"ClusterId": identity})
        except ClusterNotFound:
            return None
        return next(map(self._found, answer.get("ClusterSet") or []), None)

    def create(self, parameters: dict[str, Any]) -> str:
        """Ask for a cluster and return its identity; raises NoAnswer if it may be there now."""
        asked = self._call(v2020, m2020, "CreateCluster", parameters, repeatable=False)
        return str(asked["ClusterId"])

    def delete(self, identity: str) -> None:
        """Ask for a cluster's end, and its nodes'; one that is gone already is well."""
        wanted = {"ClusterId": identity, "InstanceDeleteMode": "Terminate"}
        try:
            self._call(v2019, m2019, "DeleteCluster", wanted)
        except ClusterNotFound:
            return

    def kubeconfig(self, identity: str) -> str:
        """Return the kubeconfig for use from outside; empty if its API server is not exposed."""
        wanted = {"ClusterId": identity, "IsPublic": "true"}
        answer = self._call(v2019, m2019, "DownloadClusterConfig", wanted)
        return str(answer.get("ClusterConfig") or "")

    def _found(self, listed: dict[str, Any]) -> KceCluster:
        keys = ("ClusterId", "ClusterName", "ClusterDesc", "Status")
        identity, name, description, status = (str(listed.get(key) or "") for key in keys)
        return KceCluster(identity, name, description, status, self.region)

    def _call(
        self,
        api: ModuleType,
        models: ModuleType,
        action: str,
        parameters: dict[str, Any],
        *,
        repeatable: bool = True,
    ) -> dict[str, Any]:
        """Return the API's answer; without `repeatable` only a throttled request is sent anew."""
        request = getattr(models, f"{action}Request")()
        for key, value in parameters.items():
            setattr(request, key, value)

        def answer() -> dict[str, Any]:
            # A client for each try: the SDK's keep what one request left in them.
            client = api.KceClient(self._credential(), self.region, _profile())
            try:
                return _read(getattr(client, action)(request))
            except KsyunSDKException as error:
                failure = self._translated(action, error)
            if isinstance(failure, NoAnswer) and not repeatable:
                failure.timed_out = True  # final: what may be there would be asked for twice
            raise failure

        return polling.until(
            answer,
            f"an answer of KCE in {self.region} to {action}",
            timeout=polling.timeouts().cloud,
            interval=THROTTLE_RETRY_INTERVAL,
        )

    def _credential(self) -> Credential:
        return Credential(self._keys.access, self._keys.secret)

    def _translated(self, action: str, error: KsyunSDKException) -> IsthmusError:
        """Return an error of the SDK as one of ours, without the keys."""
        code, said, request = _parts(error)
        kind = _kind(f"{code} {said}".lower(), code)
        said = self._keys.redact(said)[:500]
        ours = any(sign in code.lower() for sign in REFUSED)
        hint = (
            f"check {ACCESS_KEY_VARIABLE}, {SECRET_KEY_VARIABLE}, and what they are allowed to do"
            if ours
            else ""
        )
        asked = f" (request {request})" if request else ""
        return kind(f"KCE in {self.region}: {action}: {code}: {said}{asked}", hint=hint)


def _profile() -> ClientProfile:
    given = os.environ.get(ENDPOINT, "")
    address = urlsplit(given if "://" in given else f"https://{given}")
    proxy = web_proxy.proxy_for(f"{address.scheme}://{address.netloc or DOMAIN}")
    http = HttpProfile(
        protocol=address.scheme,
        endpoint=address.netloc or None,
        reqTimeout=2 * polling.timeouts().request,
        proxy=proxy,
    )
    return ClientProfile(httpProfile=http, language="en-US")


def _read(body: str) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(body)
    return answer


def _parts(error: KsyunSDKException) -> tuple[str, str, str]:
    """Return code, message and request id; of what is no answer of the API's, no code."""
    if error.code != "ServerNetworkError":
        known = error.code and error.code != "ClientNetworkError"
        return (error.code if known else "no answer"), str(error.message), error.requestId or ""
    try:
        answer = json.loads(error.message)
        said = answer["Error"]
        return str(said["Code"]), str(said.get("Message", "")), str(answer.get("RequestId", ""))
    except (ValueError, KeyError, TypeError):
        return "no answer", "an HTTP error without an error code of the API", ""


def _kind(text: str, code: str) -> type[IsthmusError]:
    if any(sign in text for sign in THROTTLING):
        return Throttled
    if code == "no answer" or any(sign in code.lower() for sign in SERVERS):
        return NoAnswer
    return ClusterNotFound if any(sign in text for sign in MISSING) else Rejected
