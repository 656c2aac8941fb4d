"""Which images an environment runs: its own word, else its provider's, else its stack's."""

from isthmus.environment import Environment, Images
from isthmus.images.names import normalize_name, with_registry
from isthmus.stacks import load

WHOLE = ("helloworld_v1", "helloworld_v2", "caller", "kubefed")
"""Images that have a name each; Istio's are below one hub, with one tag."""
ISTIO = ("pilot", "proxyv2")
"""What runs of Istio: istiod, and every gateway and sidecar."""


def select_images(environment: Environment, provider: Images) -> Images:
    """Return every image's place: the provider's and the stack's below `images.registry`.

    What the environment names itself is left as it is written.
    """
    given = provider.with_defaults(load(environment.stack).images)
    registry = environment.images.registry
    return environment.images.with_defaults(_moved(given, registry) if registry else given)


def istio_image(images: Images, name: str) -> str:
    """Return the name of Istio's image `pilot` or `proxyv2`."""
    return f"{images.hub}/{name}:{images.tag}"


def required_images(environment: Environment, provider: Images) -> list[str]:
    """Return the names of all images that a build of the environment runs, sorted, each once.

    Images that an overlay names are not among them: only Istio knows what it makes of an overlay.
    """
    images = select_images(environment, provider)
    istio = {istio_image(images, name) for name in ISTIO}
    rest = {getattr(images, name) for name in WHOLE}
    unused = {images.kubefed} if environment.federation == "direct" else set()
    return sorted(istio | (rest - unused))


def _moved(images: Images, registry: str) -> Images:
    places = {
        name: with_registry(registry, normalize_name(getattr(images, name))) for name in WHOLE
    }
    return images.model_copy(update={"hub": with_registry(registry, str(images.hub)), **places})
