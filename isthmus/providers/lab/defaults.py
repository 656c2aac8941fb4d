"""What the lab's clusters need where the environment says nothing; it appears nowhere else.

The lab's Envoy is the vanilla one, without Istio's own filters (metadata exchange, ALPN, stats).
"""

from typing import Any

from isthmus.environment import Images, ResourceRequests, Resources
from isthmus.providers.base import ProviderDefaults
from isthmus.providers.lab.images import names
from isthmus.render import render

SMALL = ResourceRequests(cpu="10m", memory="40Mi")
"""Two regions with everything in them must fit two cores."""
RESOURCES = Resources(
    istiod=ResourceRequests(cpu="10m", memory="128Mi"), gateway=SMALL, sidecar=SMALL
)
SINGLE_REPLICA_VALUES = {
    "gateways": {"istio-ingressgateway": {"autoscaleEnabled": False, "replicaCount": 1}}
}
"""A region has no metrics server for an autoscaler to ask."""

_MADE_HERE = Images(
    hub=names.HUB,
    tag=names.TAG,
    pull_policy="Never",
    helloworld_v1=names.helloworld("v1"),
    helloworld_v2=names.helloworld("v2"),
    caller=names.CALLER,
    kubefed=names.KUBEFED,
)
_HOST = {
    "pilot": {
        "autoscaleEnabled": False,
        "env": {"PILOT_ENABLE_METADATA_EXCHANGE": "false", "PILOT_ENABLE_ALPN_FILTER": "false"},
    },
    "telemetry": {"enabled": False},
    **SINGLE_REPLICA_VALUES,
}
DEFAULTS = ProviderDefaults(
    images=_MADE_HERE,
    resources=RESOURCES,
    host_overlay={"values": _HOST},
    remote_overlay={"values": SINGLE_REPLICA_VALUES},
)


def of(stack: str) -> ProviderDefaults:
    """Return what the lab's clusters need to run a stack."""
    return _guide() if stack == "guide" else DEFAULTS


def _guide() -> ProviderDefaults:
    """Return the needs of Istio 1.7.2, which runs as its official images or on a vanilla Envoy.

    Of its images the lab makes none; the vanilla Envoy refuses some of what this istiod says.
    """
    spec: dict[str, Any] = {
        "meshConfig": {"enableAutoMtls": False},
        "values": {
            "pilot": {
                "autoscaleEnabled": False,
                "env": {"PILOT_ENABLE_TCP_METADATA_EXCHANGE": "false"},
            },
            "telemetry": {"enabled": False, "v2": {"enabled": False}},
            **SINGLE_REPLICA_VALUES,
        },
    }
    return ProviderDefaults(
        images=_MADE_HERE.model_copy(update={"hub": None, "tag": None}),
        resources=RESOURCES,
        host_overlay=spec,
        remote_overlay=spec,
        host_objects=tuple(render("lab/vanilla-envoy.yaml.j2")),
    )
