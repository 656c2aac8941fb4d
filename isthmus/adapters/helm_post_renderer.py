"""A Helm post-renderer: readiness is looked at every second, not every tenth as by default.

A chart that names no period has its pods waited for 10 s after a first look that came too early.
Run by Helm as `python -m isthmus.adapters.helm_post_renderer`, manifests on stdin and on stdout.
"""

import sys
from typing import Any

import yaml

PERIOD = 1
"""Seconds between two looks."""


def with_periods(manifest: Any) -> Any:
    """Return the manifest with a period in every readiness probe that names none."""
    if isinstance(manifest, list):
        return [with_periods(part) for part in manifest]
    if not isinstance(manifest, dict):
        return manifest
    changed = {key: with_periods(value) for key, value in manifest.items()}
    if isinstance(probe := changed.get("readinessProbe"), dict):
        changed["readinessProbe"] = {"periodSeconds": PERIOD, **probe}
    return changed


def main() -> None:
    """Be the post-renderer."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    manifests = [with_periods(m) for m in yaml.load_all(sys.stdin, loader) if m]
    yaml.safe_dump_all(manifests, sys.stdout, sort_keys=False)


if __name__ == "__main__":
    main()
