"""What a Service says of its ports, and whether sidecars balance what goes to it."""

from isthmus.diagnosis.fields import dig, number
from isthmus.diagnosis.services import ports
from isthmus.diagnosis.snapshot import Object
from isthmus.verification import Protocol

HTTP = ("http", "http2", "grpc", "grpc-web")
"""What the name of a Service's port begins with, or its appProtocol is, if it is HTTP to Istio
(istio.io, Protocol Selection)."""
OTHER = ("tcp", "tls", "https", "mongo", "mysql", "redis", "udp")
KUBERNETES = {
    "kubernetes.io/h2c": "http2",
    "kubernetes.io/ws": "http",
    "kubernetes.io/wss": "https",
}
"""What Kubernetes' own names of protocols are to Istio (istio pkg/config/kube)."""
WELL_KNOWN = (25, 53, 3306, 27017)
"""Ports that are TCP to Istio if they say nothing: their servers speak first (istio.io, Protocol
Selection)."""
UNSAID = (
    "its port says no protocol (a name such as http-web or tcp-db, or appProtocol), so that Istio "
    "waits for the caller's first byte"
)


def unbalanced(own: Object) -> str:
    """Return why no sidecar balances a Service; empty if sidecars do."""
    spec = own.get("spec")
    if dig(spec, "type") == "ExternalName":
        return "of type ExternalName"
    return "headless" if dig(spec, "clusterIP") == "None" else ""


def find_port(own: Object, wanted: int | None) -> Object | None:
    """Return the port that is wanted, or the only one; None if there is none such."""
    found = [p for p in ports(own) if str(p.get("protocol") or "TCP") == "TCP"]
    if wanted is None:
        return found[0] if len(found) == 1 else None
    return next((p for p in found if number(p.get("port")) == wanted), None)


def said_protocol(port: Object) -> str:
    """Return the protocol that a port says it has, as Istio reads it; empty if it says none."""
    told = str(port.get("appProtocol") or "").lower()
    said = KUBERNETES.get(told, told) or str(port.get("name") or "").lower()
    first = said if said in HTTP + OTHER else said.split("-")[0]
    if first in HTTP + OTHER:
        return first
    return "tcp" if number(port.get("port")) in WELL_KNOWN else ""


def protocol_of(port: Object) -> Protocol:
    """Return how a port is asked, by what it says of itself."""
    return "tcp" if said_protocol(port) in OTHER else "http"
