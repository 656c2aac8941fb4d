"""What the parts of an environment must be to each other; pure.

Rules look at plain data, not at models, so that one wrong value hides no other mistake:
what is not of the right shape is passed over here, because the models report it.
"""

from collections.abc import Callable, Iterator
from typing import Any

from pydantic_core import InitErrorDetails, PydanticCustomError

from isthmus.environment import kce

Where = tuple[str | int, ...]
Data = dict[str, Any]
Violations = Iterator[InitErrorDetails]

LAB_NAME = 40
"""Characters of a name in the lab, where it becomes part of names of folders and namespaces."""
LAB_REGIONS = 10
"""Regions of one lab: its /24 holds no more (providers/lab/network.py: 20 addresses each)."""
CREATING_PROVIDERS = ("lab", "kind", "kce")
"""Providers that make the clusters themselves."""
KIND_NAME = 50
"""Characters of a kind cluster's name: Linux cuts `NAME-control-plane` at 64 (kind create.go)."""
RESERVED_GLOBAL_VALUES = ("meshID", "network", "multiCluster")
"""Helm values below `global` that make the clusters one mesh; the templates set them."""
UNUSABLE_IMAGE_KEYS = {
    "registry": "is not for the lab, whose regions pull nothing: give images.archives",
    "archives": "is for the lab only: put them into a registry, and name that in images.registry",
}
"""Keys of `images` that one provider cannot use, and what to write there instead."""
RESOURCE_KEYS = ("apiVersion", "kind", "metadata", "spec", "status")


def fill_defaults(data: Any) -> Any:
    """Return the data with a network, and for a cloud a region, for clusters that name none."""
    if not isinstance(data, dict):
        return data
    data = kce.with_regions(data)
    remotes = data.get("remotes")
    filled = {**data, "host": _with_network(data["host"], 1)} if "host" in data else dict(data)
    if isinstance(remotes, list):
        filled["remotes"] = [_with_network(remote, i) for i, remote in enumerate(remotes, 2)]
    return filled


def _with_network(cluster: Any, position: int) -> Any:
    return {"network": f"network{position}", **cluster} if isinstance(cluster, dict) else cluster


def find_violations(data: Any) -> list[InitErrorDetails]:
    """Return every rule that the data breaks, each with the place of the key to change."""
    if not isinstance(data, dict):
        return []
    rules: list[Callable[[Data], Violations]] = [
        _names, _members, _networks, _kubeconfig_keys, _duplicate_contexts, _lab_capacity, _kind,
        _cloud, _images, _overlays,
    ]  # fmt: skip
    return [problem for rule in rules for problem in rule(data)]


def _names(data: Data) -> Violations:
    for where, cluster in _clusters(data):
        name = cluster.get("name")
        if data.get("provider", "lab") == "lab" and isinstance(name, str) and len(name) > LAB_NAME:
            yield _problem((*where, "name"), f"must have at most {LAB_NAME} characters in the lab")
    for where, name, first in _repeated(data, "name"):
        owner = "the host's" if first == ("host",) else "another remote's"
        yield _problem((*where, "name"), f"must be unique: it is {owner} name too", name)


def _members(data: Data) -> Violations:
    seen: set[str] = set()
    for where, cluster in _clusters(data):
        member = cluster.get("member") or cluster.get("name")
        if isinstance(member, str) and member in seen and cluster.get("member"):
            rule = "must be unique: the federation knows another cluster by this name"
            yield _problem((*where, "member"), rule, member)
        seen.add(str(member))


def _networks(data: Data) -> Violations:
    rule = "must be a network of its own: {} has it too, and their pods cannot reach each other"
    names = {where: cluster.get("name") for where, cluster in _clusters(data)}
    for where, network, first in _repeated(data, "network"):
        yield _problem((*where, "network"), rule.format(_short(names[first])), network)


def _kubeconfig_keys(data: Data) -> Violations:
    provider = data.get("provider", "lab")
    for where, cluster in _clusters(data):
        for key in ("kubeconfig", "context", "server"):
            given = cluster.get(key)
            if provider in CREATING_PROVIDERS and given is not None:
                rule = f"is for provider kubeconfig only, not for {provider}"
                yield _problem((*where, key), rule, given)
            if provider == "kubeconfig" and given is None and key != "server":
                yield _problem((*where, key), "is required by provider kubeconfig")


def _duplicate_contexts(data: Data) -> Violations:
    seen: set[tuple[str, str]] = set()
    for where, cluster in _clusters(data):
        place = str(cluster.get("kubeconfig") or ""), str(cluster.get("context") or "")
        if all(place) and place in seen:
            rule = "must be a cluster of its own: another one has this kubeconfig and context"
            yield _problem((*where, "context"), rule, place[1])
        seen.add(place)


def _lab_capacity(data: Data) -> Violations:
    count = len(_clusters(data))
    if data.get("provider", "lab") == "lab" and count > LAB_REGIONS:
        rule = (
            f"must be at most {LAB_REGIONS - 1} in the lab: "
            f"it has room for {LAB_REGIONS} regions, the host's included"
        )
        yield _problem(("remotes",), rule, count - 1)


def _cloud(data: Data) -> Violations:
    for where, rule in kce.find_violations(data, _clusters(data)):
        yield _problem(where, rule, _at(data, where))


def _kind(data: Data) -> Violations:
    if data.get("provider", "lab") != "kind":
        if image := _at(data, ("kind", "image")):
            yield _problem(("kind", "image"), "is for provider kind only", image)
        return
    for where, cluster in _clusters(data):
        length = len(f"{data.get('name')}-{cluster.get('name')}")
        if length > KIND_NAME:
            rule = f"must be shorter: with the environment's name and - it has {length} characters"
            rule += f", and a kind cluster's name at most {KIND_NAME}"
            yield _problem((*where, "name"), rule, cluster.get("name"))


def _images(data: Data) -> Violations:
    # What would do nothing is refused, and not passed over: somebody relies on it.
    useless = "registry" if data.get("provider", "lab") == "lab" else "archives"
    if (given := _at(data, ("images", useless))) is not None:
        yield _problem(("images", useless), UNUSABLE_IMAGE_KEYS[useless], given)


def _overlays(data: Data) -> Violations:
    for role in ("host", "remote"):
        where = ("overlays", role)
        fragment = _at(data, where)
        if isinstance(fragment, dict):
            for key in fragment.keys() & set(RESOURCE_KEYS):
                yield _problem((*where, key), "must be left out: an overlay goes inside `spec`")
            for values in ("values", "unvalidatedValues"):
                yield from _overlaid_values(data, (*where, values))


def _overlaid_values(data: Data, where: Where) -> Violations:
    for place in (where, (*where, "global")):
        found = _at(data, place)
        if found is None:
            return
        if not isinstance(found, dict):
            yield _problem(place, "must be a mapping", found)
            return
    for key in found.keys() & set(RESERVED_GLOBAL_VALUES):
        rule = "must be left out: it is what makes the clusters one mesh, and Isthmus sets it"
        yield _problem((*where, "global", key), rule)


def _clusters(data: Data) -> list[tuple[Where, Data]]:
    remotes = data.get("remotes")
    places: list[tuple[Where, Any]] = [(("host",), data.get("host"))]
    if isinstance(remotes, list):
        places += [(("remotes", i), remote) for i, remote in enumerate(remotes)]
    return [(where, cluster) for where, cluster in places if isinstance(cluster, dict)]


def _repeated(data: Data, key: str) -> Iterator[tuple[Where, str, Where]]:
    """Yield each later cluster with the same text at `key`, that text, and who had it first."""
    first: dict[str, Where] = {}
    for where, cluster in _clusters(data):
        value = cluster.get(key)
        if isinstance(value, str):
            if value in first:
                yield where, value, first[value]
            first.setdefault(value, where)


def _at(data: Any, where: Where) -> Any:
    for key in where:
        data = data.get(key) if isinstance(data, dict) else None
    return data


def _short(name: Any) -> str:
    return name[:40] if isinstance(name, str) else "another cluster"


def _problem(where: Where, rule: str, value: Any = None) -> InitErrorDetails:
    return InitErrorDetails(type=PydanticCustomError("rule", rule), loc=where, input=value)
