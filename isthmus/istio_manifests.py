"""What the mesh consists of: an environment and its provider's needs in, manifests out."""

from dataclasses import dataclass
from typing import Any

from isthmus import images, providers
from isthmus.adapters.diff import ENVIRONMENT_LABEL
from isthmus.environment import ClusterSpec, Environment, Images, ResourceRequests, Resources
from isthmus.environment.namespaces import ISTIO_NAMESPACE, SAMPLE_NAMESPACE
from isthmus.providers.base import ProviderDefaults
from isthmus.render import Manifest, merge, render, with_pods
from isthmus.stacks import Stack, load

READER_SERVICE_ACCOUNT = "istio-reader-service-account"
STARTED_LAST = ("Deployment", "HorizontalPodAutoscaler", "PodDisruptionBudget")
"""Kinds of the gateway that wait for the injector: without it no pod of theirs can be made."""
INJECTOR = "istio-sidecar-injector"
"""The webhook that injects sidecars; its name is the same in all of Istio's versions here."""


@dataclass(frozen=True)
class ResolvedEnvironment:
    """An environment with every default filled in."""

    environment: Environment
    images: Images
    resources: Resources
    defaults: ProviderDefaults

    @property
    def stack(self) -> Stack:
        """The versions that go together, and how this generation of Istio works."""
        return load(self.environment.stack)

    def starts_last(self, manifest: Manifest) -> bool:
        """Tell whether an object of the gateway waits until its cluster's pods are injected."""
        of_gateway = manifest["metadata"]["name"] == self.stack.gateway.name
        return of_gateway and manifest["kind"] in STARTED_LAST

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
        made = render("sample/deployment.yaml.j2", version=version, image=image, pull_policy=policy)
        [manifest] = with_pods(made, **dict(self.environment.pods))
        return manifest

    def federated_helloworld(self) -> Manifest:
        """Return the FederatedDeployment: v1 on the host, by overrides v2 on the remotes."""
        [manifest] = render(
            "sample/federated-deployment.yaml.j2",
            deployment=self.helloworld("v1"),
            labels={ENVIRONMENT_LABEL: self.environment.name},
            clusters=[c.member_name for c in self.environment.clusters],
            remotes=[c.member_name for c in self.environment.remotes],
            v2_image=self.images.helloworld_v2,
        )
        return manifest

    def sample_version(self, cluster: str) -> str:
        """Return which version of the sample a cluster runs."""
        return "v1" if cluster == self.host else "v2"

    def expose_istiod_manifests(self) -> list[Manifest]:
        """Return what lets the host's gateway pass the control plane to remotes."""
        made = render(f"{self.stack.templates}/expose-istiod.yaml.j2")
        return [*made, *self._provided(self.host, ISTIO_NAMESPACE)]

    def expose_services_manifests(self, cluster: str) -> list[Manifest]:
        """Return what lets gateways pass other networks' requests, as far as a cluster has it.

        istiod reads it in the host alone, for every gateway; the guide has it in remotes too.
        """
        if cluster != self.environment.host.name and not self.stack.istiod_in_remotes:
            return []
        return render(f"{self.stack.templates}/expose-services.yaml.j2")

    def callers(self, cluster: str) -> list[Manifest]:
        """Return the sample's Service and the pod that calls it."""
        given = {"image": self.images.caller, "pull_policy": self.images.pull_policy}
        made = with_pods(render("sample/callers.yaml.j2", **given), **dict(self.environment.pods))
        return [*made, *self._provided(cluster, SAMPLE_NAMESPACE)]

    @property
    def host(self) -> str:
        """The name of the cluster with the control plane."""
        return self.environment.host.name

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

    def _provided(self, cluster: str, namespace: str) -> list[Manifest]:
        objects = self.defaults.host_objects if cluster == self.host else ()
        return [m for m in objects if m["metadata"]["namespace"] == namespace]

    def _operator(
        self,
        role: str,
        cluster: ClusterSpec,
        provider: dict[str, Any],
        own: dict[str, Any],
        **values: Any,
    ) -> Manifest:
        [operator] = render(
            f"{self.stack.templates}/{role}.yaml.j2",
            env=self.environment,
            cluster=cluster,
            images=self.images,
            **values,
        )
        for overlay in (self._requests(), provider, own):
            operator["spec"] = merge(operator["spec"], overlay)
        return operator

    def _requests(self) -> dict[str, Any]:
        gateway = {"k8s": {"resources": _resource_requests(self.resources.gateway)}}
        return {
            "components": {"ingressGateways": [{"name": self.stack.gateway.name, **gateway}]},
            "values": {
                "pilot": {"resources": _resource_requests(self.resources.istiod)},
                "global": {"proxy": {"resources": _resource_requests(self.resources.sidecar)}},
            },
        }


def resolve_environment(environment: Environment) -> ResolvedEnvironment:
    """Return the environment with every default of its provider and its stack filled in."""
    return resolve(environment, providers.get_provider(environment).defaults)


def resolve(environment: Environment, defaults: ProviderDefaults) -> ResolvedEnvironment:
    """Fill in what the environment leaves open: the provider's needs, then the stack's values."""
    chosen = images.select_images(environment, defaults.images)
    return ResolvedEnvironment(
        environment, chosen, _merge_resources(environment.resources, defaults.resources), defaults
    )


def _merge_resources(own: Resources, defaults: Resources) -> Resources:
    parts = {
        part: ResourceRequests(
            cpu=getattr(own, part).cpu or getattr(defaults, part).cpu,
            memory=getattr(own, part).memory or getattr(defaults, part).memory,
        )
        for part in ("istiod", "gateway", "sidecar")
    }
    return Resources(**parts)


def _resource_requests(amount: ResourceRequests) -> dict[str, Any]:
    given = {k: v for k, v in (("cpu", amount.cpu), ("memory", amount.memory)) if v}
    return {"requests": given} if given else {}
