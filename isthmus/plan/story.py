"""The whole plan, in the order of the story (flows/chapters.py)."""

from isthmus import images, providers, tools
from isthmus.environment import Environment
from isthmus.mesh import mesh
from isthmus.plan import federation, istio, sample, verification
from isthmus.plan.entry import Entry


def entries(environment: Environment) -> list[Entry]:
    """Return all that a build does, in an order in which a person can do it."""
    if environment.federation_is_given:
        # Only the cloud knows how the clusters are called in its federation.
        environment = environment.known_as(
            {c.name: f"id-of-{c.name}" for c in environment.clusters}
        )
    whole = mesh(environment, providers.of(environment).defaults)
    return [
        *federation.entries(environment, whole),
        *istio.entries(environment, whole, tools.ensure(environment, "istioctl")),
        *sample.entries(environment, whole),
        *verification.entries(environment, whole),
    ]


def image_names(environment: Environment) -> list[str]:
    """Return the names of all images that a build runs, sorted, each once."""
    return images.needed(environment, providers.of(environment).defaults.images)
