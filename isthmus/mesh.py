"""What the mesh consists of: an environment and its provider's needs in, manifests out."""

from dataclasses import dataclass
from typing import Any

from isthmus.adapters.manifests import LABEL
from isthmus.environment import Amount, ClusterSpec, Environment, Images, Resources
from isthmus.providers.contract import Defaults
from isthmus.render import Manifest, merge, render
from isthmus.stacks import load

GATEWAY = "istio-eastwestgateway"
READER = "istio-reader-service-account"
STARTED_LAST = ("Deployment", "HorizontalPodAutoscaler", "PodDisruptionBudget")
"""Kinds of the gateway that wait for the injector: without it no pod of theirs can be made."""


@dataclass(frozen=True)
class Mesh:
    """An environment with every default filled in."""

    environment: Environment
    images: Images
    resources: Resources
    defaults: Defaults

    def host_operator(self) -> Manifest:
        """Return the IstioOperator of the host."""
        return self._operator(
            "host",
            self.environment.host,
            self.defaults.host_overlay,
            self.environment.overlays.host,
        )

    def remote_operator(self, cluster: ClusterSpec, endpoint: str) -> Manifest:
        """Return the IstioOperator of a remote that reaches its control plane at `endpoint`."""
        return self._operator(
            "remote",
            cluster,
            self.defaults.remote_overlay,
            self.environment.overlays.remote,
            endpoint=endpoint,
        )

    def helloworld(self, version: str) -> Manifest:
        """Return the sample's Deployment of one version."""
        image = self.images.helloworld_v1 if version == "v1" else self.images.helloworld_v2
        policy = self.images.pull_policy
        [manifest] = render(
            "sample/deployment.yaml.j2", version=version, image=image, pull_policy=policy
        )
        return manifest

    def federated_helloworld(self) -> Manifest:
        """Return the FederatedDeployment: v1 on the host, by overrides v2 on the remotes."""
        [manifest] = render(
            "sample/federated-deployment.yaml.j2",
            deployment=self.helloworld("v1"),
            labels={LABEL: self.environment.name},
            clusters=[c.in_federation for c in self.environment.clusters],
            remotes=[c.in_federation for c in self.environment.remotes],
            v2_image=self.images.helloworld_v2,
        )
        return manifest

    def version_on(self, cluster: str) -> str:
        """Return which version of the sample a cluster runs."""
        return "v1" if cluster == self.environment.host.name else "v2"

    def exposure(self) -> list[Manifest]:
        """Return what lets the host's gateway pass what other regions need."""
        return render(f"{load(self.environment.stack).templates}/expose.yaml.j2")

    def callers(self) -> list[Manifest]:
        """Return the sample's Service and the pod that calls it."""
        return render(
            "sample/callers.yaml.j2", image=self.images.caller, pull_policy=self.images.pull_policy
        )

    def kubefed_values(self) -> dict[str, Any]:
        """Return the values of KubeFed's chart; its controllers are started once it stands."""
        repository, _, rest = str(self.images.kubefed).rpartition("/")
        image, _, tag = rest.partition(":")
        program = {
            "repository": repository,
            "image": image,
            "tag": tag or "latest",
            "imagePullPolicy": self.images.pull_policy,
            # The chart's limits are a tenth of a core: its webhook then refuses for seconds.
            "resources": {"limits": None, "requests": {"cpu": "10m", "memory": "64Mi"}},
        }
        return {
            "controllermanager": {
                "clusterHealthCheckPeriod": "1s",
                "clusterAvailableDelay": "1s",
                # At its start it looks at every namespace, and each look made before its watches
                # run holds a worker for 10 s (kubefed pkg/controller/util, SyncedPollPeriod).
                "syncController": {"maxConcurrentReconciles": 32},
                # What they try before the webhook answers, they try again 5 s later.
                "controller": {**program, "replicaCount": 0},
                # Each release has new certificates; a webhook that runs reads them a minute late.
                "webhook": {**program, "logLevel": 2, "forceRedeployment": True},
            }
        }

    def _operator(
        self,
        role: str,
        cluster: ClusterSpec,
        provider: dict[str, Any],
        own: dict[str, Any],
        **values: Any,
    ) -> Manifest:
        folder = load(self.environment.stack).templates
        [operator] = render(
            f"{folder}/{role}.yaml.j2",
            env=self.environment,
            cluster=cluster,
            images=self.images,
            **values,
        )
        for overlay in (self._requests(), provider, own):
            operator["spec"] = merge(operator["spec"], overlay)
        return operator

    def _requests(self) -> dict[str, Any]:
        gateway = {"k8s": {"resources": _requests(self.resources.gateway)}}
        return {
            "components": {"ingressGateways": [{"name": GATEWAY, **gateway}]},
            "values": {
                "pilot": {"resources": _requests(self.resources.istiod)},
                "global": {"proxy": {"resources": _requests(self.resources.sidecar)}},
            },
        }


def mesh(environment: Environment, defaults: Defaults) -> Mesh:
    """Fill in what the environment leaves open: the provider's needs, then the stack's values."""
    images = environment.images.over(defaults.images).over(load(environment.stack).images)
    return Mesh(environment, images, _over(environment.resources, defaults.resources), defaults)


def waits_for_injector(manifest: Manifest) -> bool:
    """Tell whether an object of the gateway can only come to life once pods are injected."""
    return manifest["metadata"]["name"] == GATEWAY and manifest["kind"] in STARTED_LAST


def _over(own: Resources, defaults: Resources) -> Resources:
    parts = {
        part: Amount(
            cpu=getattr(own, part).cpu or getattr(defaults, part).cpu,
            memory=getattr(own, part).memory or getattr(defaults, part).memory,
        )
        for part in ("istiod", "gateway", "sidecar")
    }
    return Resources(**parts)


def _requests(amount: Amount) -> dict[str, Any]:
    given = {k: v for k, v in (("cpu", amount.cpu), ("memory", amount.memory)) if v}
    return {"requests": given} if given else {}
