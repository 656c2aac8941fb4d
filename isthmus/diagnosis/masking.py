"""What a snapshot keeps of an object: what checks read, and nothing that may be secret."""

import re
from typing import Any

from isthmus.diagnosis.snapshot import Object

ISTIO_CONTAINERS = frozenset({"istio-proxy", "discovery", "istio-init", "istio-validation"})
"""Containers whose variables Istio sets; those of others may hold anything, and are left out."""
KEPT_ANNOTATIONS = re.compile(r"(.*\.)?(istio\.io|kubernetes\.io|isthmus)/.*|sidecar\..*")
DROPPED_ANNOTATIONS = frozenset(
    {
        "kubectl.kubernetes.io/last-applied-configuration",
        "isthmus/manifest",
        "proxy.istio.io/config",  # proxyMetadata may hold anything
    }
)
CONFIG_MAPS = frozenset({"istio", "istio-ca-root-cert", "istio-sidecar-injector"})
"""ConfigMaps whose data is kept: Istio's own, which has nothing secret."""
DROPPED_KEYS = {
    "istio-sidecar-injector": ("config",),  # 40 kB of templates, which no check reads
}
CONTAINER_FIELDS = ("name", "image", "ports", "resources", "restartPolicy")
KEPT_VARIABLES = re.compile(
    r"(ISTIO_META|PILOT|ENABLE|INJECTION|VALIDATION)_\w+"
    r"|ISTIO_MULTIROOT_MESH|EXTERNAL_ISTIOD|CLUSTER_ID|REVISION|TRUST_DOMAIN|CA_ADDR"
    r"|LOCAL_CLUSTER_SECRET_WATCHER|SHARED_MESH_CONFIG|PROXY_CONFIG_XDS_AGENT|ROOT_CA_DIR"
)
"""Variables of Istio's own whose values are kept; of others there is the name alone."""
CONTAINER_LISTS = ("initContainers", "containers", "ephemeralContainers")
RULES = ("VirtualService", "EnvoyFilter", "AuthorizationPolicy", "RequestAuthentication")
"""Kinds of Istio's whose fields may quote what callers send: headers, keys, programs."""
HIDDEN = ("jwks",)
REMOVED = "(removed)"
CONTENT = ("data", "stringData", "binaryData")
TEMPLATED = ("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet")


def mask(item: Object) -> Object:
    """Return an object as a snapshot may hold it."""
    kind = str(item.get("kind", ""))
    made = {"kind": kind, "apiVersion": item.get("apiVersion", ""), "metadata": _metadata(item)}
    if kind == "Secret":
        return made | {"type": item.get("type", ""), "keys": sorted(item.get("data") or {})}
    if kind == "ConfigMap":
        return made | {"data": _config(item)}
    rest = {k: v for k, v in item.items() if k not in made and k not in CONTENT}
    if kind == "Pod":
        rest["spec"] = _pod_spec(item.get("spec") or {})
    if kind in TEMPLATED:
        rest["spec"] = _templated(item.get("spec") or {})
    if kind in RULES:
        rest["spec"] = _without_values(item.get("spec") or {})
    if kind.startswith("Federated"):
        rest["spec"] = _federated(item.get("spec") or {})
    return made | rest


def _metadata(item: Object) -> Object:
    meta = item.get("metadata") or {}
    kept = {k: v for k, v in meta.items() if k not in ("managedFields", "annotations")}
    notes = {
        name: value
        for name, value in (meta.get("annotations") or {}).items()
        if KEPT_ANNOTATIONS.fullmatch(name) and name not in DROPPED_ANNOTATIONS
    }
    return kept | ({"annotations": notes} if notes else {})


def _config(item: Object) -> dict[str, Any]:
    name = str((item.get("metadata") or {}).get("name", ""))
    if name not in CONFIG_MAPS:
        return {}
    data = dict(item.get("data") or {})
    return {k: v for k, v in data.items() if k not in DROPPED_KEYS.get(name, ())}


def _pod_spec(spec: Object) -> Object:
    kept = {
        k: v
        for k, v in spec.items()
        if k not in ("volumes", "containers", "initContainers", "ephemeralContainers")
    }
    for part in ("initContainers", "containers", "ephemeralContainers"):
        if spec.get(part):
            kept[part] = [_container(c) for c in spec[part]]
    return kept


def _container(container: Object) -> Object:
    kept = {k: container[k] for k in CONTAINER_FIELDS if k in container}
    if container.get("name") in ISTIO_CONTAINERS:
        kept["env"] = [_variable(v) for v in container.get("env") or [] if isinstance(v, dict)]
        kept["args"] = container.get("args") or []
    return kept


def _variable(variable: Object) -> Object:
    name = str(variable.get("name", ""))
    return variable if KEPT_VARIABLES.fullmatch(name) else {"name": name}


def _without_values(value: Any, hides: bool = False) -> Any:
    """Return a rule without what it puts into headers or compares with them, and without keys."""
    if isinstance(value, dict):
        about_header = "request.headers" in str(value.get("key", ""))
        return {
            key: REMOVED
            if key in HIDDEN or (about_header and key in ("values", "notValues"))
            else _without_values(each, hides or key in ("headers", "set", "add"))
            if key != "patch"
            else {"operation": (each or {}).get("operation")}
            for key, each in value.items()
        }
    if isinstance(value, list):
        return [_without_values(each, hides) for each in value]
    return REMOVED if hides and isinstance(value, str) else value


def _templated(spec: Object) -> Object:
    template = spec.get("template") or {}
    masked = {"metadata": _metadata(template), "spec": _pod_spec(template.get("spec") or {})}
    return {**spec, "template": masked}


def _federated(spec: Object) -> Object:
    """Leave the content out: of a FederatedSecret that is the key."""
    return {k: v for k, v in spec.items() if k == "placement"}
