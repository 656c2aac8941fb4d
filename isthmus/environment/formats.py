"""The shapes of single values: patterns that a form can use too, each with its rule in words."""

import re
from collections.abc import Callable
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, StringConstraints, WithJsonSchema
from pydantic_core import PydanticCustomError

LABEL = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
LABEL_VALUE = r"^[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$"
LABEL_KEY = r"^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$"
PRINTABLE = r"^[^\x00-\x1f\x7f]+$"
_REPOSITORY = r"[A-Za-z0-9]([-A-Za-z0-9.]*[A-Za-z0-9])?(:[0-9]+)?(/[a-z0-9]+([._-]+[a-z0-9]+)*)"
_TAG = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}"
HUB = f"^{_REPOSITORY}*$"
TAG = f"^{_TAG}$"
IMAGE = f"^{_REPOSITORY}+:{_TAG}$"
SERVER = r"^https://([A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?(/[-A-Za-z0-9._~/]*)?$"
CPU = r"^([0-9]+([.][0-9]{1,3})?|[0-9]+m)$"
MEMORY = r"^[0-9]+([.][0-9]+)?(k|M|G|T|Ki|Mi|Gi|Ti)?$"
RELEASE = r"^v1[.][0-9]{1,3}[.][0-9]{1,3}$"
IDENTITY = r"^[A-Za-z0-9][-A-Za-z0-9]{0,63}$"
INSTANCE = r"^[A-Za-z0-9][-A-Za-z0-9.]{0,31}$"
SERVICE = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?/[a-z]([-a-z0-9]*[a-z0-9])?$"
URL_PATH = r"^/[A-Za-z0-9._~!$&'()*+,;=:@%/?-]*$"
CIDR = r"^[0-9]{1,3}([.][0-9]{1,3}){3}/[0-9]{1,2}$"

RULES = {
    LABEL: "must be a DNS label: a-z, 0-9 and -, beginning and ending with a letter or a digit",
    LABEL_VALUE: "must be a label value: letters, digits, -, _ and ., no such sign first or last",
    LABEL_KEY: "must be a label's key, such as pod-security.kubernetes.io/enforce",
    PRINTABLE: "must not be empty or hold control characters",
    HUB: "must be a registry and a path, with no tag: registry/path",
    TAG: "must be an image's tag: letters, digits, _, . and -, at most 128, no sign first",
    IMAGE: "must be a whole image, with its tag: repository/name:tag",
    SERVER: "must be an API server's URL, with no account in it: https://ADDRESS:PORT",
    CPU: "must be a Kubernetes amount of CPU, such as 500m or 0.5",
    MEMORY: "must be a Kubernetes amount of memory, such as 512Mi (never m, a thousandth)",
    RELEASE: "must be a Kubernetes version as KCE lists it, such as v1.32.3",
    IDENTITY: "must be an identity as the cloud's console shows it: letters, digits and -",
    INSTANCE: "must be an instance type such as S6.4B",
    SERVICE: "must be a namespace and a Service in it: shop/cart",
    URL_PATH: "must be a URL's path, from its first /, other signs percent-encoded: /healthz",
    CIDR: "must be a network such as 172.16.0.0/16",
}
"""Pattern -> what a person must do; source: the Kubernetes API conventions, the OCI image names."""

KINGSOFT = (
    "cn-beijing-6", "cn-beijing-fin", "cn-shanghai-2", "cn-shanghai-fin", "cn-ningbo-1",
    "cn-guangzhou-1", "cn-central-1", "cn-southwest-1", "cn-northwest-1", "cn-northwest-3",
    "cn-northwest-4", "cn-hongkong-2", "cn-taipei-1", "ap-singapore-1", "eu-east-1",
)  # fmt: skip
"""Region codes of Kingsoft Cloud, as public tools for its API list them; a form offers them first.

Left out are regions that are one customer's or the provider's own. New ones need no change here:
any label value is a region.
"""

RESERVED_LABEL_PREFIXES = (
    "isthmus/",
    "istio-injection",
    "istio.io/rev",
    "topology.istio.io/",
    "kubefed.io/",
)
"""What labels of namespaces begin with that a build sets, or that would undo what it does."""
YAML_WORD = re.compile(
    r"y|n|yes|no|on|off|true|false|null|0x[0-9a-f]+|0b[01]+|0o[0-7]+|[0-9]+(e-?[0-9]+)?"
    r"|[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}"
)
"""DNS labels that some reader of YAML 1.1 or 1.2 takes for something other than text."""


def _text_in_any_yaml(value: str) -> str:
    # Names go into manifests that many programs read, not all of which quote them again.
    if YAML_WORD.fullmatch(value):
        raise PydanticCustomError("rule", "must not be a word that YAML takes for something else")
    return value


def _refuse_reserved_label(value: str) -> str:
    if value.startswith(RESERVED_LABEL_PREFIXES):
        raise PydanticCustomError("rule", "must not be a label that the mesh itself is made of")
    return value


RESERVED_POD_FIELDS = frozenset(
    {"containers", "initContainers", "restartPolicy", "activeDeadlineSeconds"}
)
RESERVED_CONTAINER_FIELDS = frozenset(
    {"name", "image", "imagePullPolicy", "command", "args", "ports", "readinessProbe"}
)
"""Fields of pods and containers that make the sample and the probes what they are."""


def _none_of(ours: frozenset[str]) -> Callable[[dict[str, Any]], dict[str, Any]]:
    def check(fields: dict[str, Any]) -> dict[str, Any]:
        if found := sorted(fields.keys() & ours):
            raise PydanticCustomError("rule", f"must leave out {', '.join(found)}: a build sets it")
        return fields

    return check


def _number_as_text(value: object) -> object:
    # People write `cpu: 1` to Kubernetes, and there it is no mistake.
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return str(value) if number else value


EnvironmentName = Annotated[
    str, StringConstraints(pattern=LABEL, max_length=40), AfterValidator(_text_in_any_yaml)
]
"""At most 40 characters, because names become parts of names that Kubernetes cuts at 63."""
ClusterName = Annotated[
    str, StringConstraints(pattern=LABEL, max_length=63), AfterValidator(_text_in_any_yaml)
]
"""A DNS label, as Istio takes it (pkg/config/validation); a cloud's is often a long identity."""
NetworkName = Annotated[
    str, StringConstraints(pattern=LABEL, max_length=63), AfterValidator(_text_in_any_yaml)
]
RegionName = Annotated[
    str,
    StringConstraints(pattern=LABEL_VALUE, max_length=63),
    WithJsonSchema(
        {
            # Beside the tabs, not in one, or a wrong value is told without the rule that it breaks.
            "pattern": LABEL_VALUE,
            "maxLength": 63,
            "anyOf": [
                {"title": "Kingsoft Cloud", "type": "string", "enum": list(KINGSOFT)},
                {"title": "Another", "type": "string"},
            ],
        }
    ),
]
LabelKey = Annotated[
    str,
    StringConstraints(pattern=LABEL_KEY, max_length=253),
    AfterValidator(_refuse_reserved_label),
]
PodFields = Annotated[dict[str, Any], AfterValidator(_none_of(RESERVED_POD_FIELDS))]
ContainerFields = Annotated[dict[str, Any], AfterValidator(_none_of(RESERVED_CONTAINER_FIELDS))]
ServiceName = Annotated[str, StringConstraints(pattern=SERVICE, max_length=127)]
UrlPath = Annotated[str, StringConstraints(pattern=URL_PATH, max_length=1024)]
LabelValue = Annotated[str, StringConstraints(pattern=LABEL_VALUE, max_length=63)]
ContextName = Annotated[str, StringConstraints(pattern=PRINTABLE, max_length=253)]
ServerUrl = Annotated[str, StringConstraints(pattern=SERVER, max_length=255)]
Hub = Annotated[str, StringConstraints(pattern=HUB, max_length=255)]
ImageTag = Annotated[str, StringConstraints(pattern=TAG)]
ImageName = Annotated[str, StringConstraints(pattern=IMAGE, max_length=383)]
CpuQuantity = Annotated[str, StringConstraints(pattern=CPU), BeforeValidator(_number_as_text)]
MemoryQuantity = Annotated[str, StringConstraints(pattern=MEMORY), BeforeValidator(_number_as_text)]
