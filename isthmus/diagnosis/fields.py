"""Reading fields of objects that people wrote: nested values, lists, moments, label selectors.

Nothing here raises for a shape that nobody expected: what cannot be read is not there.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from isthmus.diagnosis.snapshot import Object


def dig(item: Any, *path: str) -> Any:
    """Return a nested value, or None where the path ends early.

    >>> dig(rule, "spec", "trafficPolicy", "tls", "mode")
    """
    for key in path:
        item = item.get(key) if isinstance(item, Mapping) else None
    return item


def mappings(value: Any) -> list[Object]:
    """Return the mappings in a list; none if it is no list."""
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def texts(value: Any) -> list[str]:
    """Return the values of a list as texts; none if it is no list."""
    return [str(each) for each in value] if isinstance(value, list) else []


def pairs(value: Any) -> dict[str, str]:
    """Return a mapping of texts, such as labels; an empty one if it is none."""
    return {str(k): str(v) for k, v in value.items()} if isinstance(value, Mapping) else {}


def number(value: Any) -> float | None:
    """Return a number, also of a text that is one."""
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


def seconds(moment: Any) -> float | None:
    """Return a moment as the Kubernetes API writes it (RFC 3339) in seconds since the epoch."""
    try:
        found = datetime.fromisoformat(str(moment))
    except ValueError:
        return None
    return found.timestamp() if found.tzinfo else None


def created(item: Object) -> float:
    """Return when an object was made; 0 if it does not say so."""
    return seconds(dig(item, "metadata", "creationTimestamp")) or 0.0


def conditions(item: Object) -> dict[str, Object]:
    """Return the conditions of an object's status by their type."""
    return {str(c.get("type")): c for c in mappings(dig(item, "status", "conditions"))}


def selects(selector: Any, labels: Mapping[str, str]) -> bool:
    """Tell whether a label selector selects these labels; an empty one selects all.

    Source: k8s.io/apimachinery pkg/apis/meta/v1, LabelSelector.
    """
    wanted = pairs(dig(selector, "matchLabels"))
    terms = mappings(dig(selector, "matchExpressions"))
    return wanted.items() <= labels.items() and all(_holds(term, labels) for term in terms)


def _holds(term: Object, labels: Mapping[str, str]) -> bool:
    key, values = str(term.get("key")), texts(term.get("values"))
    match term.get("operator"):
        case "In":
            return labels.get(key) in values
        case "NotIn":
            return labels.get(key) not in values
        case "Exists":
            return key in labels
        case "DoesNotExist":
            return key not in labels
        case _:
            return True
