"""What users write, as frozen models. The text below a field is its help in a form."""

import re
from typing import Any, Literal, Self

from pydantic import (
    ConfigDict,
    Field,
    ModelWrapValidatorHandler,
    ValidationError,
    model_validator,
)
from pydantic_core import InitErrorDetails, PydanticCustomError

from isthmus.environment import form, rules
from isthmus.environment.formats import (
    LABEL_VALUE,
    ClusterName,
    ContextName,
    EnvironmentName,
    NetworkName,
    RegionName,
    ServerUrl,
)
from isthmus.environment.kce import Kce, Site
from isthmus.environment.paths import AbsolutePath
from isthmus.environment.sections import (
    Images,
    KindNodes,
    Namespaces,
    Overlays,
    Pods,
    Resources,
    Section,
    VerificationSpec,
)
from isthmus.environment.timeouts import Timeouts
from isthmus.errors import Usage

ProviderName = Literal["lab", "kubeconfig", "kce", "kind"]
StackName = Literal["istio-1.31", "guide"]
FederationMode = Literal["kubefed", "direct"]


def _shape_cluster(schema: dict[str, Any]) -> None:
    form.simplify_schema(schema)
    schema["required"] = ["name"]


class ClusterSpec(Section):
    """One cluster: its name, where it is, and which network its pods are in."""

    # Both have defaults that depend on what stands around them, so the fields cannot hold these.
    model_config = ConfigDict(title="Cluster", json_schema_extra=_shape_cluster)

    name: ClusterName
    """The cluster's name, by which Istio knows it too: a-z, 0-9, -, at most 63; in the lab 40."""
    region: RegionName
    """Where the cluster is: letters, digits, -, _ and dots; by default the cluster's name."""
    network: NetworkName
    """The network of its pods, its own; by default network1 for the host, network2 and so on."""
    kubeconfig: AbsolutePath | None = None
    """A kubeconfig file, in a form by its absolute path; only for provider kubeconfig."""
    context: ContextName | None = None
    """The context to use in that file; only for provider kubeconfig."""
    server: ServerUrl | None = None
    """URL at which the other clusters reach its API server; by default as in the kubeconfig."""
    member: ClusterName | None = None
    """The cluster's name in the federation; by default its own."""
    kce: Site = Field(default=Site(), json_schema_extra=form.add_default_tab)
    """Where it stands in Kingsoft Cloud; only for provider kce."""

    @property
    def member_name(self) -> str:
        """By which name the federation knows the cluster."""
        return self.member or self.name

    @model_validator(mode="before")
    @classmethod
    def _fill_region(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        # A name that is missing or wrong is reported as the name, and not once more as the region.
        name = str(data.get("name"))[:63]
        return {"region": name if re.fullmatch(LABEL_VALUE, name) else "unknown", **data}


class Environment(Section):
    """Clusters in several regions that become one federation and one mesh."""

    model_config = ConfigDict(title="Environment")

    name: EnvironmentName
    """The environment's name, which all objects made for it carry: a-z, 0-9 and -, at most 40."""
    provider: ProviderName = "lab"
    """Where clusters come from: kubeconfig takes yours, kce buys, the others make them here."""
    stack: StackName = "istio-1.31"
    """The set of versions that go together."""
    federation: FederationMode = "kubefed"
    """How one object reaches every cluster: by KubeFed, or applied to each directly."""
    host: ClusterSpec = Field(title="Host")
    """The cluster with the control plane."""
    remotes: list[ClusterSpec] = Field(min_length=1)
    """Every other cluster: at least one."""
    images: Images = Field(default=Images(), json_schema_extra=form.add_default_tab)
    """Other images than the provider's or the stack's."""
    resources: Resources = Field(default=Resources(), json_schema_extra=form.add_default_tab)
    """Other requests than the provider's or Istio's."""
    namespaces: Namespaces = Field(default=Namespaces(), json_schema_extra=form.add_default_tab)
    """What is said of the namespaces that are made in every cluster."""
    pods: Pods = Field(default=Pods(), json_schema_extra=form.add_default_tab)
    """What a cluster's policies demand of pods: security contexts, limits."""
    overlays: Overlays = Field(default=Overlays(), json_schema_extra=form.add_default_tab)
    """Your own changes to how Istio is installed."""
    kce: Kce = Field(default=Kce(), json_schema_extra=form.add_default_tab)
    """What clusters of Kingsoft Cloud have in common; only for provider kce."""
    kind: KindNodes = Field(default=KindNodes(), json_schema_extra=form.add_default_tab)
    """What provider kind makes its clusters of."""
    verification: VerificationSpec = VerificationSpec()
    """How much traffic proves the mesh."""
    timeouts: Timeouts = Field(default=Timeouts(), json_schema_extra=form.add_default_tab)
    """How long each thing may take before a run gives it up."""

    @property
    def has_console_federation(self) -> bool:
        """Whether the federation is the cloud's: taken over, and never taken away."""
        ours = self.kce.federation == "isthmus" or self.federation == "direct"
        return self.provider == "kce" and not ours

    def with_members(self, members: dict[str, str]) -> Self:
        """Return the environment with the names (cluster -> member) that its federation uses."""

        def named(cluster: ClusterSpec) -> ClusterSpec:
            return cluster.model_copy(update={"member": members.get(cluster.name, cluster.member)})

        update = {"host": named(self.host), "remotes": [named(c) for c in self.remotes]}
        return self.model_copy(update=update)

    @property
    def clusters(self) -> list[ClusterSpec]:
        """The host, then the remotes as the file lists them."""
        return [self.host, *self.remotes]

    def cluster(self, name: str) -> ClusterSpec:
        """Return the cluster of that name; raises Usage if there is none."""
        for cluster in self.clusters:
            if cluster.name == name:
                return cluster
        known = ", ".join(cluster.name for cluster in self.clusters)
        raise Usage(f"{self.name} has no cluster {name}", hint=f"choose one of {known}")

    @model_validator(mode="wrap")
    @classmethod
    def _obey_rules(cls, data: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        data = rules.fill_defaults(data)
        try:
            made = handler(data)
        except ValidationError as error:
            # One wrong value must not hide what is wrong between the others.
            raise _failure([*_details(error), *rules.find_violations(data)]) from None
        if broken := rules.find_violations(made.model_dump()):
            raise _failure(broken)
        return made


def _failure(problems: list[InitErrorDetails]) -> ValidationError:
    return ValidationError.from_exception_data("Environment", problems)


def _details(error: ValidationError) -> list[InitErrorDetails]:
    return [
        InitErrorDetails(
            type=PydanticCustomError(e["type"], e["msg"], e.get("ctx")),
            loc=e["loc"],
            input=e["input"],
        )
        for e in error.errors(include_url=False)
    ]
