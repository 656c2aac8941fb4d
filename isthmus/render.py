"""Turn a template and plain values into manifests. Pure: same input, same output."""

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


def _named(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(e, dict) and "name" in e for e in value)
