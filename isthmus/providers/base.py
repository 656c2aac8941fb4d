"""What every provider of clusters can do; the pipeline knows no more of them than this."""

from dataclasses import dataclass, field
from typing import Any, Protocol

from isthmus.environment import ClusterSpec, Environment, Images, Resources
from isthmus.step_results import Access


@dataclass(frozen=True)
class ProviderDefaults:
    """What a provider's clusters need where the environment says nothing."""

    images: Images = field(default_factory=Images)
    resources: Resources = field(default_factory=Resources)
    host_overlay: dict[str, Any] = field(default_factory=dict)
    remote_overlay: dict[str, Any] = field(default_factory=dict)
    host_objects: tuple[dict[str, Any], ...] = ()
    """Manifests of istio-system and sample for the host, where istiod reads for all proxies."""


class Provider(Protocol):
    """Where clusters come from. Every method is safe to repeat."""

    def check(self, environment: Environment) -> None:
        """Raise Unprepared, before anything is changed, if the clusters cannot be had."""

    def ensure(self, environment: Environment, cluster: ClusterSpec) -> Access:
        """Make the cluster exist and its API server answer; return how to reach it."""

    def access(self, environment: Environment, cluster: ClusterSpec) -> Access:
        """Return how to reach a cluster that exists; raises NotReady if it does not."""

    def release(self, environment: Environment, cluster: ClusterSpec) -> None:
        """Leave nothing of one cluster if this provider made it for the environment."""

    def delete(self, environment: Environment) -> None:
        """Leave none of the clusters that this provider made for the environment."""

    @property
    def disposable(self) -> bool:
        """Whether `delete` takes the clusters with everything in them."""

    @property
    def defaults(self) -> ProviderDefaults:
        """What these clusters need where the environment says nothing."""


class PaidProvider(Provider, Protocol):
    """A provider whose clusters cost money: a person says yes before any is bought or deleted."""

    def planned_purchases(self, environment: Environment, anew: bool = False) -> list[str]:
        """Return in words what `ensure` would buy; if `anew`, as if there were nothing yet."""

    def planned_releases(self, environment: Environment, leaving: list[ClusterSpec]) -> list[str]:
        """Return in words which of these clusters `release` would delete."""

    def planned_deletions(self, environment: Environment) -> list[str]:
        """Return in words what `delete` would delete."""
