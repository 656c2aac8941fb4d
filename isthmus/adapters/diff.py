"""Comparing what is wanted with what is there; pure."""

import base64
import hashlib
import json
from fractions import Fraction
from typing import Any

from isthmus.errors import Rejected

Manifest = dict[str, Any]

ENVIRONMENT_LABEL = "isthmus/environment"
"""Label of everything that Isthmus makes in a cluster; its value is the environment's name."""
KEEP = "isthmus/keep"
"""Label by which whoever made a namespace hands it over: with the value "true" it outlives the
mesh."""
MARK = "isthmus/manifest"
"""Annotation with the hash of what was wanted: what is wanted no longer must go too."""
KEYS = ("name", "containerPort", "port", "mountPath", "key", "type", "ip")
AMOUNTS = ("requests", "limits", "capacity", "sizeLimit", "averageValue")
"""Fields whose values are quantities: elsewhere "1.10" is a text and not another "1.1"."""


def describe(manifest: Manifest) -> str:
    """Name a manifest: `ConfigMap istio-system/istio`."""
    meta = manifest["metadata"]
    space = f"{meta['namespace']}/" if meta.get("namespace") else ""
    return f"{manifest['kind']} {space}{meta['name']}"


def is_kept(manifest: Manifest) -> bool:
    """Tell whether it is a namespace that somebody else made and handed over."""
    labels = manifest["metadata"].get("labels") or {}
    return bool(manifest.get("kind") == "Namespace" and labels.get(KEEP) == "true")


def owner_of(manifest: Manifest) -> str:
    """Return the environment whose label an object bears; empty if it bears none."""
    return str((manifest["metadata"].get("labels") or {}).get(ENVIRONMENT_LABEL, ""))


def check_owner(manifest: Manifest, live: Manifest, wanted: str, cluster: str) -> None:
    """Refuse to take over what somebody else made: `down` would delete it. Raises Rejected."""
    owner = owner_of(live)
    if wanted and owner != wanted:
        whose = f"environment {owner}" if owner else "somebody else"
        raise Rejected(
            f"{describe(manifest)} already exists and belongs to {whose}",
            cluster=cluster,
            hint="remove it if nobody needs it, or take another cluster",
        )


def deletion_blockers(live: Manifest) -> str:
    """Say, in brackets, what an object that was deleted waits for: finalizers, its content.

    Source: k8s.io/kubernetes pkg/controller/namespace/deletion/status_condition_utils.go.
    """
    ends = live.get("kind") == "Namespace"  # other kinds' conditions tell of other things
    conditions = live.get("status", {}).get("conditions", []) if ends else []
    said = [c["message"] for c in conditions if c.get("status") == "True" and c.get("message")]
    said += [f"finalizer {name}" for name in live.get("metadata", {}).get("finalizers", [])]
    return f" ({', '.join(said)})" if said else ""


def is_ready(manifest: Manifest) -> bool:
    """Tell whether its condition Ready is True: a Pod's, a Node's, a KubeFedCluster's."""
    conditions = manifest.get("status", {}).get("conditions") or []
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


def parse_quantity(value: Any) -> Fraction | None:
    """Return a Kubernetes quantity as a number, in cores or bytes; None if it is none."""
    # Imported here: a command that asks no cluster would wait for all of the client.
    from kubernetes.utils.quantity import parse_quantity as parse

    try:
        return Fraction(parse(str(value)))
    except (ValueError, OverflowError):
        return None


def is_scaled_to_zero(manifest: Manifest) -> bool:
    """Tell whether it is a Deployment that wants no pod."""
    return bool(manifest["kind"] == "Deployment" and not manifest["spec"].get("replicas", 1))


def with_environment_label(manifest: Manifest, environment: str) -> Manifest:
    """Return the manifest with the label that says whose it is; unchanged if it is nobody's."""
    if not environment:
        return manifest
    return _with_meta(manifest, "labels", ENVIRONMENT_LABEL, environment)


def with_hash_annotation(manifest: Manifest) -> Manifest:
    """Return the manifest with an annotation that changes whenever anything in it does."""
    text = json.dumps(manifest, sort_keys=True)
    mark = hashlib.sha256(text.encode()).hexdigest()[:16]
    return _with_meta(manifest, "annotations", MARK, mark)


def _with_meta(manifest: Manifest, part: str, key: str, value: str) -> Manifest:
    meta = manifest["metadata"]
    return {**manifest, "metadata": {**meta, part: {**(meta.get(part) or {}), key: value}}}


def without_istiod_fields(manifest: Manifest) -> Manifest:
    """Return what stays ours once the object is there.

    istiod writes its own CA and, when it is ready, `failurePolicy: Fail` into webhooks
    (istio pilot/pkg/bootstrap/webhook.go, pkg/webhooks/validation/controller).
    """
    if not manifest["kind"].endswith("WebhookConfiguration"):
        return manifest
    return {**manifest, "webhooks": [_shared_webhook(w) for w in manifest.get("webhooks", [])]}


def _shared_webhook(webhook: dict[str, Any]) -> dict[str, Any]:
    client = {k: v for k, v in webhook.get("clientConfig", {}).items() if k != "caBundle"}
    rest = {k: v for k, v in webhook.items() if k not in ("failurePolicy", "clientConfig")}
    return {**rest, "clientConfig": client}


def differs(wanted: Manifest, live: Manifest) -> bool:
    """Tell whether applying `wanted` would change `live`.

    Only fields that are wanted count: what the server, defaults or other controllers add is theirs.
    What was wanted before and is no longer shows in the mark, where `live` has one.
    """
    (wanted, mark), (_, before) = _unmarked(wanted), _unmarked(live)
    if mark and before and mark != before:
        return True
    wanted.pop("status", None)
    if texts := wanted.pop("stringData", None):
        encoded = {k: base64.b64encode(v.encode()).decode() for k, v in texts.items()}
        wanted["data"] = {**wanted.get("data", {}), **encoded}
    return not _within(wanted, live)


def _unmarked(manifest: Manifest) -> tuple[Manifest, str]:
    """Return a manifest without its mark, and the mark."""
    meta = manifest.get("metadata") or {}
    annotations = meta.get("annotations")
    if not isinstance(annotations, dict) or MARK not in annotations:
        return dict(manifest), ""
    mark = annotations[MARK]
    annotations = {k: v for k, v in annotations.items() if k != MARK}
    return {**manifest, "metadata": {**meta, "annotations": annotations}}, mark


def _within(wanted: Any, live: Any, amount: bool = False) -> bool:
    if isinstance(wanted, dict):
        # An empty or null value is the same as none: the server drops it.
        return isinstance(live, dict) and all(
            _within(value, live[key], amount or key in AMOUNTS) if key in live else _empty(value)
            for key, value in wanted.items()
            if value is not None
        )
    if isinstance(wanted, list):
        return isinstance(live, list) and _lists(wanted, live)
    return wanted == live or (amount and parse_quantity(wanted) == parse_quantity(live) is not None)


def _lists(wanted: list[Any], live: list[Any]) -> bool:
    if len(wanted) == len(live) and all(map(_within, wanted, live)):
        return True
    # Lists that the server merges by key may hold what another manager added, in another order.
    key = next((k for k in KEYS if _keyed_by(k, wanted) and _keyed_by(k, live)), None)
    if key is None:
        return False
    by_key = {entry[key]: entry for entry in live}
    return all(e[key] in by_key and _within(e, by_key[e[key]]) for e in wanted)


def _keyed_by(key: str, entries: list[Any]) -> bool:
    # A Gateway's `port` is no key but a mapping.
    return all(isinstance(e, dict) and isinstance(e.get(key), str | int) for e in entries)


def _empty(value: Any) -> bool:
    return (
        value is None or value == {} or value == [] or value == "" or value is False or value == 0
    )
