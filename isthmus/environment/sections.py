"""The optional parts of an environment: each has a default that is right for a first run."""

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError

from isthmus.environment import form
from isthmus.environment.formats import (
    ContainerFields,
    CpuQuantity,
    Hub,
    ImageName,
    ImageTag,
    LabelKey,
    LabelValue,
    MemoryQuantity,
    PodFields,
    ServiceName,
    UrlPath,
)
from isthmus.environment.paths import Archives

IMAGE_SOURCE_KEYS = ("registry", "archives")
"""Keys of Images that say where images are, and not which; they are the environment's alone."""


class Section(BaseModel):
    """Immutable, and refuses what it does not know."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        use_attribute_docstrings=True,
        field_title_generator=lambda name, _: _title(name),
        json_schema_extra=form.simplify_schema,
    )


class OptionalSection(Section):
    """A part in which everything may be left to somebody who knows better."""

    def with_defaults(self, defaults: Self) -> Self:
        """Return what is set here, and else what `defaults` say."""
        chosen = {name: _first(value, getattr(defaults, name)) for name, value in self}
        return self.model_copy(update=chosen)


def _title(name: str) -> str:
    words = {"cpu": "CPU", "kubefed": "KubeFed", "kce": "KCE", "vpc": "VPC"}
    return words.get(name) or name.replace("_", " ").capitalize()


def _first(value: Any, default: Any) -> Any:
    if isinstance(value, OptionalSection):
        return value.with_defaults(default)
    return default if value is None else value


class Images(OptionalSection):
    """Where images come from; what is left out is the provider's or the stack's."""

    model_config = ConfigDict(title="Images")

    registry: Hub | None = None
    """Registry and path that have all images which are not named below; clusters of your own."""
    archives: Archives | None = None
    """Archives of images, or folders of them, for the regions of a lab, which pull nothing."""
    hub: Hub | None = None
    """Registry and path of Istio's images, without a tag."""
    tag: ImageTag | None = None
    """Tag of Istio's images."""
    pull_policy: Literal["Always", "IfNotPresent", "Never"] | None = None
    """When a node asks the registry for an image."""
    helloworld_v1: ImageName | None = None
    """The sample's first version, which answers on the host: repository/name:tag."""
    helloworld_v2: ImageName | None = None
    """The sample's second version, which answers on the remotes: repository/name:tag."""
    caller: ImageName | None = None
    """The pod that calls the sample, with sh and curl in it: repository/name:tag."""
    kubefed: ImageName | None = None
    """KubeFed's control plane: repository/name:tag."""


class ResourceRequests(OptionalSection):
    """What one container requests."""

    model_config = ConfigDict(title="Amount")

    cpu: CpuQuantity | None = None
    """CPU to request, such as 500m or 0.5."""
    memory: MemoryQuantity | None = None
    """Memory to request, such as 512Mi."""


class Resources(OptionalSection):
    """What the mesh's containers request; what is left out is the provider's or Istio's."""

    model_config = ConfigDict(title="Resources")

    istiod: ResourceRequests = Field(default=ResourceRequests(), title="Istiod")
    """Istio's control plane."""
    gateway: ResourceRequests = Field(default=ResourceRequests(), title="Gateway")
    """The load-balanced way into each network."""
    sidecar: ResourceRequests = Field(default=ResourceRequests(), title="Sidecar")
    """The proxy beside each pod of the mesh."""


class Overlays(Section):
    """Fragments of an IstioOperator's spec, laid over the stack's own."""

    model_config = ConfigDict(title="Overlays")

    host: dict[str, Any] = {}
    """Laid over the host's spec; may not set what makes the clusters one mesh."""
    remote: dict[str, Any] = {}
    """Laid over every remote's spec; may not set what makes the clusters one mesh."""


class KindNodes(Section):
    """The containers that are the clusters of provider kind."""

    model_config = ConfigDict(title="Kind")

    image: ImageName | None = None
    """Image of the nodes, repository/name:tag; by default one of the stack's Kubernetes."""


class Namespaces(Section):
    """What the namespaces have in common that are made in every cluster."""

    model_config = ConfigDict(title="Namespaces")

    labels: dict[LabelKey, LabelValue] = {}
    """Labels for istio-system, sample and KubeFed's, such as those that Pod Security reads."""


class Pods(Section):
    """What is laid over the pods of the sample, the caller and the probes; none is Istio's."""

    model_config = ConfigDict(title="Pods")

    spec: PodFields = {}
    """Fields of a PodSpec for each pod, such as securityContext and imagePullSecrets."""
    container: ContainerFields = {}
    """Fields of a Container for each of their containers, such as resources and securityContext."""


class ServiceSpec(Section):
    """A service of your own that is proved, too."""

    model_config = ConfigDict(title="Service")

    name: ServiceName
    """Its namespace and its name: shop/cart."""
    port: int | None = Field(default=None, ge=1, le=65535)
    """Port of the Service; may be left out if it has one alone."""
    path: UrlPath = "/"
    """What is asked for by HTTP, and is answered with a status below 400."""
    protocol: Literal["http", "tcp"] | None = None
    """How it is asked; by default as the Service's port says."""


def _refuse_repeated(services: list[ServiceSpec]) -> list[ServiceSpec]:
    for at, spec in enumerate(services):
        if any((spec.name, spec.port) == (has.name, has.port) for has in services[:at]):
            text = f"must not repeat {spec.name}"
            raise PydanticCustomError("rule", text + (f":{spec.port}" if spec.port else ""))
    return services


class VerificationSpec(Section):
    """How the mesh is proved by traffic."""

    model_config = ConfigDict(title="Verification")

    requests: int = Field(default=100, ge=2, le=10_000)
    """Requests that each cluster sends, each over a connection of its own."""
    timeout: float = Field(default=10.0, gt=0, le=300, allow_inf_nan=False)
    """Seconds that one request may take."""
    services: Annotated[list[ServiceSpec], AfterValidator(_refuse_repeated)] = []
    """Services of your own that are proved, too: each endpoint must answer in its share."""
