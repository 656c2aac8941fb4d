"""Stacks: named sets of versions that go together, one YAML file each, and how they are read.

A new stack is a file here, a folder of templates and a word in Environment.stack.
"""

import re
from functools import cache
from importlib.resources import files
from typing import Literal, Self

import yaml
from pydantic import Field, model_validator

from isthmus.environment import Images
from isthmus.environment.sections import IMAGE_SOURCE_KEYS
from isthmus.errors import BadEnvironment
from isthmus.stacks.releases import Release, StackModel


class Versions(StackModel):
    """The version of each part; `kubernetes` is the one that the stack is tested with."""

    istio: str
    kubefed: str
    kubernetes: str
    helm: str


class VersionRange(StackModel):
    """The Kubernetes minors that the stack's Istio supports, both ends included."""

    min: str
    max: str

    def holds(self, version: str) -> bool:
        """Tell whether a server's version, such as v1.36.3 or 1.32.5-gke.1, is in the window."""
        return _minor(self.min) <= _minor(version) <= _minor(self.max)


class GatewayNames(StackModel):
    """The load-balanced way into a cluster's network: its Deployment, its Service, its port."""

    name: str
    port: int
    """Where the Service takes requests from other networks."""
    hostnames: bool
    """Whether Istio takes a load balancer's host name for an address (1.7 skips it in EDS)."""

    @property
    def selector(self) -> str:
        """The label by which its pods and its Service are found."""
        return f"istio={self.name.removeprefix('istio-')}"


class Stack(StackModel):
    """Versions that go together, where their templates are, and the images they come in."""

    name: str
    versions: Versions
    kubernetes: VersionRange
    templates: str
    """Folder below `templates/` that knows this generation of Istio."""
    remote_secret: list[str]
    """The words by which its istioctl prints a remote secret."""
    networking: str
    """API version of Gateway and VirtualService."""
    networks: Literal["labels", "meshNetworks"]
    """How istiod knows a cluster's network: by istio-system's label, or by the host's own list."""
    istiod_in_remotes: bool
    """Whether a remote runs an istiod of its own, which certifies and injects its pods."""
    old_tokens: bool
    """Whether its proxies can do with tokens that name no audience, as old clusters give them."""
    ca_keys: Literal["ec", "rsa"]
    """The kind of key that its istiod can sign with: 1.7 repeats the algorithm of each request,
    RSA, and an EC key cannot (security/pkg/pki/util/generate_cert.go)."""
    rereads_cacerts: bool
    """Whether its istiod takes up a renewed intermediate by itself; 1.7 reads `cacerts` at its
    start alone (pilot/pkg/bootstrap/istio_ca.go)."""
    gateway: GatewayNames
    images: Images
    releases: dict[str, Release]
    """Official files of the programs, for machines that do not compile them."""
    host_size: dict[str, str] = Field(default_factory=dict)
    """CPU and memory that a host's nodes must have in all, if the stack's makers say so."""

    @model_validator(mode="after")
    def _choose_every_image(self) -> Self:
        # What a stack leaves out nobody else is sure to know.
        if lacking := [
            name for name, value in self.images if value is None and name not in IMAGE_SOURCE_KEYS
        ]:
            raise ValueError(f"a stack names all images; missing: {', '.join(lacking)}")
        return self


def names() -> list[str]:
    """Return the names of all stacks, sorted."""
    return list(_names())


@cache
def _names() -> tuple[str, ...]:
    found = (entry.name for entry in files(__name__).iterdir())
    return tuple(sorted(name.removesuffix(".yaml") for name in found if name.endswith(".yaml")))


@cache
def load(name: str) -> Stack:
    """Return the stack of that name; raises BadEnvironment if there is none."""
    if name not in names():
        raise BadEnvironment(
            f"there is no stack {name!r}", hint=f"set `stack` to one of: {', '.join(names())}"
        )
    text = (files(__name__) / f"{name}.yaml").read_text(encoding="utf-8")
    return Stack.model_validate({"name": name, **yaml.safe_load(text)})


def _minor(version: str) -> tuple[int, int]:
    if not (match := re.match(r"v?(\d+)\.(\d+)", version)):
        raise ValueError(f"not a Kubernetes version: {version!r}")
    return int(match[1]), int(match[2])
