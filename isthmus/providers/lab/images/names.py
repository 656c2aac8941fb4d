"""Names of the lab's images; they exist in no registry, so nothing is ever pulled."""

HUB = "docker.io/isthmus-lab"
TAG = "lab"
PAUSE = f"{HUB}/pause:{TAG}"
COREDNS = f"{HUB}/coredns:{TAG}"
KUBEFED = f"{HUB}/kubefed:{TAG}"
CALLER = f"{HUB}/caller:{TAG}"
PILOT = f"{HUB}/pilot:{TAG}"
PROXY = f"{HUB}/proxyv2:{TAG}"


def helloworld(version: str) -> str:
    """Return the sample's image of one version, `v1` or `v2`."""
    return f"{HUB}/examples-helloworld-{version}:{TAG}"
