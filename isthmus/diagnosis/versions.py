"""Versions of Istio, and what is known of one when a remote secret changes."""

import re

Version = tuple[int, ...]

AFFECTED = (
    ((1, 30, 0), (1, 30, 2), "istio#60612", "its new registry of a changed remote secret can "
     "deadlock: istiod then hears of no later change of that cluster"),
    ((1, 30, 3), (1, 30, 3), "istio#60920, istio#61043", "after a changed remote secret a "
     "network's gateway can vanish, and endpoints be wiped, until istiod is restarted"),
)  # fmt: skip
"""First and last version, issues, effect (istio releasenotes/notes/60612.yaml, 60920.yaml,
61043.yaml: fixed in 1.31.0 and later 1.30)."""


def parsed(text: str) -> Version | None:
    """Return a version's numbers, `(1, 31, 0)` of `1.31.0-beta.0`; None if it is none."""
    match = re.match(r"v?(\d+)\.(\d+)(?:\.(\d+))?", text)
    return tuple(int(part or 0) for part in match.groups()) if match else None


def defect(text: str) -> tuple[str, str] | None:
    """Return issues and effect, where a version breaks on a changed remote secret."""
    version = parsed(text)
    for first, last, issues, effect in AFFECTED:
        if version and first <= version <= last:
            return issues, effect
    return None
