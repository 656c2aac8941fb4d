"""What the lab's clusters need where the environment says nothing; it appears nowhere else.

The lab's Envoy is the vanilla one, without Istio's own filters (metadata exchange, ALPN, stats).
"""

from isthmus.environment import Amount, Images, Resources
from isthmus.providers.contract import Defaults
from isthmus.providers.lab.images import names

SMALL = Amount(cpu="10m", memory="40Mi")
"""Two regions with everything in them must fit two cores."""

ONE_GATEWAY = {"gateways": {"istio-ingressgateway": {"autoscaleEnabled": False, "replicaCount": 1}}}
"""A region has no metrics server for an autoscaler to ask."""

DEFAULTS = Defaults(
    images=Images(
        hub=names.HUB,
        tag=names.TAG,
        pull_policy="Never",
        helloworld_v1=names.helloworld("v1"),
        helloworld_v2=names.helloworld("v2"),
        caller=names.CALLER,
        kubefed=names.KUBEFED,
    ),
    resources=Resources(istiod=Amount(cpu="10m", memory="128Mi"), gateway=SMALL, sidecar=SMALL),
    host_overlay={
        "values": {
            "pilot": {
                "autoscaleEnabled": False,
                "env": {
                    "PILOT_ENABLE_METADATA_EXCHANGE": "false",
                    "PILOT_ENABLE_ALPN_FILTER": "false",
                },
            },
            "telemetry": {"enabled": False},
            **ONE_GATEWAY,
        }
    },
    remote_overlay={"values": ONE_GATEWAY},
)
