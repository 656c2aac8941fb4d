"""The whole plan, in the order of the story (flows/stages.py)."""

from pathlib import Path

from isthmus import binaries, images, polling, providers
from isthmus.environment import Environment
from isthmus.errors import Unprepared
from isthmus.istio_manifests import resolve_environment
from isthmus.plan import federation, istio, sample, verification
from isthmus.plan.manual_step import ManualStep


def entries(environment: Environment, istioctl: Path | None) -> list[ManualStep]:
    """Return all that a build does, in an order in which a person can do it.

    Without `istioctl`, the program, what it makes of an IstioOperator is left for it to print.
    """
    if environment.has_console_federation:
        # Only the cloud knows how the clusters are called in its federation.
        environment = environment.with_members(
            {c.name: f"id-of-{c.name}" for c in environment.clusters}
        )
    whole = resolve_environment(environment)
    with polling.use_timeouts(environment.timeouts):
        return [
            *federation.entries(environment, whole),
            *istio.entries(environment, whole, istioctl),
            *sample.entries(environment, whole),
            *verification.entries(environment, whole),
        ]


def find_istioctl(environment: Environment) -> tuple[Path | None, str]:
    """Return where the stack's istioctl is; or None, and why it cannot be had here."""
    try:
        return binaries.ensure(environment, "istioctl"), ""
    except Unprepared as error:
        return None, str(error)


def image_names(environment: Environment) -> list[str]:
    """Return the names of all images that a build runs, sorted, each once."""
    return images.required_images(environment, providers.get_provider(environment).defaults.images)
