"""Webhook configurations: whom they call, for what, and whether anybody is there."""

import base64
import binascii
from collections.abc import Iterator
from typing import NamedTuple

from isthmus.diagnosis.certificate_facts import facts_of_pem
from isthmus.diagnosis.fields import dig, mappings, number, texts
from isthmus.diagnosis.objects import find, full_name, labelled, listed, was_listed
from isthmus.diagnosis.snapshot import CertificateFacts, ClusterSnapshot, Object
from isthmus.environment.namespaces import ISTIO_NAMESPACE

KINDS = ("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration")
MUTATING = KINDS[0]
HTTPS = 443
"""The port of a webhook's Service if none is given (k8s.io/api admissionregistration/v1)."""


class Webhook(NamedTuple):
    """One webhook of a configuration."""

    configuration: Object
    hook: Object

    @property
    def name(self) -> str:
        """Its own name, such as `namespace.sidecar-injector.istio.io`."""
        return str(self.hook.get("name", ""))

    @property
    def where(self) -> str:
        """`MutatingWebhookConfiguration NAME`."""
        return full_name(self.configuration)

    @property
    def service(self) -> tuple[str, str] | None:
        """Namespace and name of the Service that it calls; None if it calls a URL."""
        told = dig(self.hook, "clientConfig", "service")
        if not isinstance(told, dict):
            return None
        return str(told.get("namespace", "")), str(told.get("name", ""))

    @property
    def port(self) -> int:
        """The Service's port that it calls."""
        return int(number(dig(self.hook, "clientConfig", "service", "port")) or HTTPS)

    @property
    def fails_closed(self) -> bool:
        """Tell whether an object is refused where the webhook gives no answer (the default)."""
        return str(self.hook.get("failurePolicy", "Fail")) == "Fail"

    @property
    def is_istiods(self) -> bool:
        """Tell whether istiod is called."""
        space, name = self.service or ("", "")
        return space == ISTIO_NAMESPACE and (name == "istiod" or name.startswith("istiod-"))

    @property
    def bundle(self) -> tuple[CertificateFacts, ...] | None:
        """The CAs by which its server is known; None if they cannot be read, () if there are none.

        Empty or a newline, as some tools leave it, is none.
        """
        told = str(dig(self.hook, "clientConfig", "caBundle") or "")
        try:
            return facts_of_pem(base64.b64decode(told))
        except (ValueError, binascii.Error):
            return None

    def resources(self) -> set[str]:
        """Return `group/resource` of all that it is asked about when it is created."""
        return {
            f"{group}/{resource.partition('/')[0]}"
            for rule in mappings(self.hook.get("rules"))
            if {"CREATE", "*"} & set(texts(rule.get("operations")))
            for group in texts(rule.get("apiGroups"))
            for resource in texts(rule.get("resources"))
            if "/" not in resource or resource.endswith("/*")
        }


def webhooks(cluster: ClusterSnapshot) -> Iterator[Webhook]:
    """Yield every webhook of a cluster."""
    for kind in KINDS:
        for configuration in listed(cluster, kind):
            for hook in mappings(configuration.get("webhooks")):
                yield Webhook(configuration, hook)


def injectors(cluster: ClusterSnapshot) -> list[Webhook]:
    """Return the webhooks by which istiod injects sidecars, also those that call a URL."""
    return [
        hook
        for hook in webhooks(cluster)
        if hook.configuration.get("kind") == MUTATING
        and (hook.is_istiods or "sidecar-injector.istio.io" in hook.name)
    ]


def nobody_there(cluster: ClusterSnapshot, hook: Webhook) -> str:
    """Say why a webhook's Service leads to nobody; empty if somebody is there, or none can tell."""
    if not hook.service or not was_listed(cluster, "Service"):
        return ""
    space, name = hook.service
    service = find(cluster, "Service", name, space)
    if service is None:
        return f"there is no Service {space}/{name}"
    ports = [number(p.get("port")) for p in mappings(dig(service, "spec", "ports"))]
    if dig(service, "spec", "type") == "ExternalName" or not was_listed(cluster, "EndpointSlice"):
        return ""
    if ports and hook.port not in ports:
        return f"Service {space}/{name} has no port {hook.port}"
    labels = {"kubernetes.io/service-name": name}
    ready = (
        dig(endpoint, "conditions", "ready") is not False
        for each in labelled(cluster, "EndpointSlice", labels, space)
        for endpoint in mappings(each.get("endpoints"))
        if texts(endpoint.get("addresses"))
    )
    return "" if any(ready) else f"Service {space}/{name} has no ready endpoint"
