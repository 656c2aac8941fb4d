"""Turn a template and plain values into manifests. Pure: same input, same output."""

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

import yaml
from jinja2 import Environment, PackageLoader, StrictUndefined

Manifest = dict[str, Any]


@cache
def _templates() -> Environment:
    return Environment(
        loader=PackageLoader("templates", ""),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        # An included part must not run into the line that follows.
        keep_trailing_newline=True,
    )


def render(template: str, **values: Any) -> list[Manifest]:
    """Render `templates/<template>` and return its YAML documents, empty ones dropped."""
    text = _templates().get_template(template).render(**values)
    return [document for document in yaml.safe_load_all(text) if document]


def merge(base: Any, overlay: Any) -> Any:
    """Return `base` with `overlay` on top: mappings merge, lists of named entries by name."""
    if isinstance(base, dict) and isinstance(overlay, dict):
        keys = [*base, *(k for k in overlay if k not in base)]
        return {
            k: merge(base[k], overlay[k]) if k in base and k in overlay else {**base, **overlay}[k]
            for k in keys
        }
    if _named(base) and _named(overlay):
        merged = {e["name"]: e for e in base}
        for entry in overlay:
            merged[entry["name"]] = merge(merged.get(entry["name"], {}), entry)
        return list(merged.values())
    return overlay


def with_pods(
    manifests: Iterable[Manifest], spec: Mapping[str, Any], container: Mapping[str, Any]
) -> list[Manifest]:
    """Return manifests with fields on top of each pod's spec, and of each of its containers.

    Pods are those of the kind Pod and of Deployments; what else there is stays as it is.
    """

    def over(pod: dict[str, Any]) -> dict[str, Any]:
        containers = [merge(given, dict(container)) for given in pod["containers"]]
        return {**merge(pod, dict(spec)), "containers": containers}

    def made(manifest: Manifest) -> Manifest:
        if manifest["kind"] == "Pod":
            return {**manifest, "spec": over(manifest["spec"])}
        if manifest["kind"] == "Deployment":
            pod = over(manifest["spec"]["template"]["spec"])
            return merge(manifest, {"spec": {"template": {"spec": pod}}})  # type: ignore[no-any-return]
        return manifest

    return [made(manifest) for manifest in manifests]


def _named(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(e, dict) and "name" in e for e in value)
