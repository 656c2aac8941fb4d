"""How Prefect's form shows a model: what a person seldom needs is folded, and nothing is `None`."""

from typing import Any

Schema = dict[str, Any]
DEFAULT_TAB = {"title": "Default", "type": "object", "const": {}}
"""The tab of a part that is left as it is; the form shows it empty, and sends an empty mapping."""


def simplify_schema(schema: Schema) -> None:
    """Make a model's JSON schema one that the form draws without tabs for what is not given."""
    for name, field in schema["properties"].items():
        schema["properties"][name] = _plain(_listed(field))


def add_default_tab(schema: Schema) -> None:
    """Put a part behind a tab, and before it one that says that all is left as it is."""
    if "$ref" in schema:
        schema["anyOf"] = [DEFAULT_TAB, {"$ref": schema.pop("$ref")}]
        schema["default"] = {}


def _plain(field: Schema) -> Schema:
    """Return the schema of an optional value as that of the value: a field that may stay empty."""
    given = [kind for kind in field.get("anyOf", []) if kind != {"type": "null"}]
    if len(given) != 1 or len(given) == len(field["anyOf"]):
        return field
    around = {key: value for key, value in field.items() if key not in ("anyOf", "default")}
    return {**_without(given[0], "format"), **around}


def _listed(field: Schema) -> Schema:
    """Return a choice of one as a choice: the form has a list for `enum`, and none for `const`."""
    return {**_without(field, "const"), "enum": [field["const"]]} if "const" in field else field


def _without(schema: Schema, key: str) -> Schema:
    return {k: v for k, v in schema.items() if k != key}
