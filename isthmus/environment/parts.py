"""The optional parts of an environment: each has a default that is right for a first run."""

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from isthmus.environment import form
from isthmus.environment.paths import Archives
from isthmus.environment.patterns import Cpu, Hub, Image, LabelKey, LabelValue, Memory, Tag

Seconds = Annotated[int, Field(ge=1, le=86400)]
PLACES = ("registry", "archives")
"""Keys of Images that say where images are, and not which; they are the environment's alone."""


class Part(BaseModel):
    """Immutable, and refuses what it does not know."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        use_attribute_docstrings=True,
        field_title_generator=lambda name, _: _title(name),
        json_schema_extra=form.shape,
    )


class Choice(Part):
    """A part in which everything may be left to somebody who knows better."""

    def over(self, defaults: Self) -> Self:
        """Return what is set here, and else what `defaults` say."""
        chosen = {name: _first(value, getattr(defaults, name)) for name, value in self}
        return self.model_copy(update=chosen)


def _title(name: str) -> str:
    words = {"cpu": "CPU", "kubefed": "KubeFed", "kce": "KCE", "vpc": "VPC"}
    return words.get(name) or name.replace("_", " ").capitalize()


def _first(value: Any, default: Any) -> Any:
    if isinstance(value, Choice):
        return value.over(default)
    return default if value is None else value


class Images(Choice):
    """Where images come from; what is left out is the provider's or the stack's."""

    model_config = ConfigDict(title="Images")

    registry: Hub | None = None
    """Registry and path that have all images which are not named below; clusters of your own."""
    archives: Archives | None = None
    """Archives of images, or folders of them, for the regions of a lab, which pull nothing."""
    hub: Hub | None = None
    """Registry and path of Istio's images, without a tag."""
    tag: Tag | None = None
    """Tag of Istio's images."""
    pull_policy: Literal["Always", "IfNotPresent", "Never"] | None = None
    """When a node asks the registry for an image."""
    helloworld_v1: Image | None = None
    """The sample's first version, which answers on the host: repository/name:tag."""
    helloworld_v2: Image | None = None
    """The sample's second version, which answers on the remotes: repository/name:tag."""
    caller: Image | None = None
    """The pod that calls the sample, with sh and curl in it: repository/name:tag."""
    kubefed: Image | None = None
    """KubeFed's control plane: repository/name:tag."""


class Amount(Choice):
    """What one container requests."""

    model_config = ConfigDict(title="Amount")

    cpu: Cpu | None = None
    """CPU to request, such as 500m or 0.5."""
    memory: Memory | None = None
    """Memory to request, such as 512Mi."""


class Resources(Choice):
    """What the mesh's containers request; what is left out is the provider's or Istio's."""

    model_config = ConfigDict(title="Resources")

    istiod: Amount = Field(default=Amount(), title="Istiod")
    """Istio's control plane."""
    gateway: Amount = Field(default=Amount(), title="Gateway")
    """The load-balanced way into each network."""
    sidecar: Amount = Field(default=Amount(), title="Sidecar")
    """The proxy beside each pod of the mesh."""


class Overlays(Part):
    """Fragments of an IstioOperator's spec, laid over the stack's own."""

    model_config = ConfigDict(title="Overlays")

    host: dict[str, Any] = {}
    """Laid over the host's spec; may not set what makes the clusters one mesh."""
    remote: dict[str, Any] = {}
    """Laid over every remote's spec; may not set what makes the clusters one mesh."""


class KindNodes(Part):
    """The containers that are the clusters of provider kind."""

    model_config = ConfigDict(title="Kind")

    image: Image | None = None
    """Image of the nodes, repository/name:tag; by default one of the stack's Kubernetes."""


class Namespaces(Part):
    """What the namespaces have in common that are made in every cluster."""

    model_config = ConfigDict(title="Namespaces")

    labels: dict[LabelKey, LabelValue] = {}
    """Labels for istio-system, sample and KubeFed's, such as those that Pod Security reads."""


class Timeouts(Part):
    """Seconds that each thing may take; what takes longer has failed, and the run with it."""

    model_config = ConfigDict(title="Timeouts")

    # Helm gives a release 5 min (--timeout), istioctl its install 5 min (--readiness-timeout),
    # Kubernetes a Deployment 10 (progressDeadlineSeconds): these are what clusters here never took.
    node: Seconds = 180
    """A node of a cluster that was made to be Ready."""
    deployment: Seconds = 240
    """A Deployment to be available: istiod, a gateway, KubeFed, the sample."""
    load_balancer: Seconds = 180
    """A Service of type LoadBalancer to get its address."""
    helm: Seconds = 240
    """One call of Helm."""
    federation: Seconds = 90
    """A cluster to be a Ready member, and a federated object to be in every member."""
    control_plane: Seconds = 90
    """The host's istiod to serve another cluster: its trust, its injector."""
    proxies: Seconds = 60
    """Every proxy to have learnt the last change, before traffic is judged."""
    deletion: Seconds = 180
    """What was deleted to be gone, with its finalizers and, of a namespace, its content."""
    answer: Seconds = 90
    """A new load balancer's address to answer: a cloud's looks at what is behind it a few times."""
    drain: Seconds = 30
    """Requests through the gateway of a cluster that leaves to end; a pod that ends has as long."""
    # A connection is asked for after 0, 1, 3 and 7 s (RFC 6298), so that 10 s are four tries.
    connect: Seconds = 10
    """A connection to be open, to an API server or to a load balancer."""
    # etcd's own limit is 7 s (etcd server/config ReqTimeout); an API server may ask it twice.
    request: Seconds = 15
    """An API server to answer a request."""
    # Its Retry-After is 1 (k8s.io/apiserver pkg/server/filters/maxinflight.go).
    retry: Seconds = 5
    """An API server that is away, throttles or refuses to take the same request; Helm's: twice."""
    # kubectl waits for ever; a person who has to look for a second factor needs half as long.
    login: Seconds = 60
    """The program of a kubeconfig's `exec` to give credentials."""
    # As long as a verification of 1000 requests needs whose every answer takes half a second.
    exec: Seconds = 600
    """A command in a pod."""
    download: Seconds = 15
    """A file's next byte to come; the next run goes on from there."""
    prefect: Seconds = 5
    """A Prefect server of your own (PREFECT_API_URL) to answer, before a run."""


class VerificationSpec(Part):
    """How the mesh is proved by traffic."""

    model_config = ConfigDict(title="Verification")

    requests: int = Field(default=100, ge=2, le=10_000)
    """Requests that each cluster sends, each over a connection of its own."""
    timeout: float = Field(default=10.0, gt=0, le=300, allow_inf_nan=False)
    """Seconds that one request may take."""
