"""Objects of a healthy mesh as `kubectl get -o json` has them, masked: no I/O, no clock."""

import base64

SYSTEM, SAMPLE = "istio-system", "sample"
HELLOWORLD = "helloworld.sample.svc.cluster.local"
OWN = {"isthmus/environment": "pair"}
MEGABYTES = {"requests": {"cpu": "10m", "memory": "40Mi"}}


def thing(kind, name, namespace="", labels=None, annotations=None, **rest):
    """Return an object: `thing("Service", "x", "sample", spec={...})`."""
    meta = {"name": name, "uid": f"{kind}-{namespace}-{name}".lower(), "labels": labels or {}}
    meta |= {"namespace": namespace} if namespace else {}
    meta |= {"annotations": annotations} if annotations else {}
    meta["creationTimestamp"] = "2026-09-20T10:00:00Z"
    return {"kind": kind, "apiVersion": API.get(kind, "v1"), "metadata": meta, **rest}


API = {
    "Deployment": "apps/v1",
    "EndpointSlice": "discovery.k8s.io/v1",
    "MutatingWebhookConfiguration": "admissionregistration.k8s.io/v1",
    "ValidatingWebhookConfiguration": "admissionregistration.k8s.io/v1",
    "Gateway": "networking.istio.io/v1",
    "VirtualService": "networking.istio.io/v1",
    "ClusterRole": "rbac.authorization.k8s.io/v1",
    "ClusterRoleBinding": "rbac.authorization.k8s.io/v1",
}


def node(name, region):
    """Return a Ready node of a region."""
    labels = {
        "kubernetes.io/hostname": name,
        "topology.kubernetes.io/region": region,
        "topology.kubernetes.io/zone": f"{region}-a",
    }
    status = {
        "conditions": [{"type": "Ready", "status": "True"}],
        "addresses": [{"type": "InternalIP", "address": "172.16.0.2"}],
        "allocatable": {"cpu": "4", "memory": "8Gi"},
        "nodeInfo": {"kubeletVersion": "v1.36.3"},
    }
    return thing("Node", name, labels=labels, spec={"podCIDR": "10.10.0.0/24"}, status=status)


def deployment(name, namespace, labels, containers, replicas=1):
    """Return a Deployment of which every pod is available."""
    count = dict.fromkeys(("replicas", "updatedReplicas", "readyReplicas"), replicas)
    return thing(
        "Deployment",
        name,
        namespace,
        {"app": labels.get("app", name), **OWN},
        spec={
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"serviceAccountName": name, "containers": containers},
            },
        },
        status={**count, "availableReplicas": replicas, "observedGeneration": 1},
    )


def pod(name, namespace, labels, address, containers, sidecars=(), node_name="node-1"):
    """Return a Ready pod that has never restarted; `sidecars` are native ones."""
    names = [c["name"] for c in (*sidecars, *containers)]
    running = {"running": {"startedAt": "2026-09-20T10:00:05Z"}}
    status = {
        "phase": "Running",
        "podIP": address,
        "podIPs": [{"ip": address}],
        "hostIP": "172.16.0.2",
        "startTime": "2026-09-20T10:00:00Z",
        "conditions": [
            {"type": t, "status": "True"} for t in ("PodScheduled", "ContainersReady", "Ready")
        ],
        "containerStatuses": [
            {"name": n, "ready": True, "restartCount": 0, "state": running} for n in names
        ],
    }
    spec = {"nodeName": node_name, "containers": list(containers)}
    spec |= {"initContainers": list(sidecars)} if sidecars else {}
    return thing("Pod", name, namespace, labels, spec=spec, status=status)


def container(name, image, env=None, ports=(), **more):
    """Return a container whose variables are set by value."""
    variables = [{"name": k, "value": v} for k, v in (env or {}).items()]
    made = {"name": name, "image": image, "ports": [{"containerPort": p} for p in ports], **more}
    return {**made, "resources": MEGABYTES} | ({"env": variables} if variables else {})


def service(name, namespace, address, ports, selector=None, balancer=None, labels=None):
    """Return a Service; ports are (name, port, targetPort); a balancer's address makes it one."""
    spec = {
        "type": "LoadBalancer" if balancer else "ClusterIP",
        "clusterIP": address,
        "ports": [{"name": n, "port": p, "targetPort": t, "protocol": "TCP"} for n, p, t in ports],
    }
    spec |= {"selector": selector} if selector else {}
    status = {"loadBalancer": {"ingress": [{"ip": balancer}]} if balancer else {}}
    return thing("Service", name, namespace, labels or {}, spec=spec, status=status)


def slice_of(name, namespace, addresses, ports, pods=(), suffix="-abcde"):
    """Return a Service's EndpointSlice, every endpoint ready; ports are (name, port)."""
    endpoints = [
        {"addresses": [a], "conditions": {"ready": True, "serving": True, "terminating": False}}
        for a in addresses
    ]
    for endpoint, target in zip(endpoints, pods, strict=False):
        endpoint["targetRef"] = {"kind": "Pod", "namespace": namespace, "name": target}
    labels = {"kubernetes.io/service-name": name}
    made = thing("EndpointSlice", f"{name}{suffix}", namespace, labels, addressType="IPv4")
    listed = [{"name": n, "port": p, "protocol": "TCP"} for n, p in ports]
    return made | {"endpoints": endpoints, "ports": listed}


def hook(name, path, bundle, selector, what="pods"):
    """Return one webhook of istiod's."""
    groups = [""] if what == "pods" else ["networking.istio.io", "security.istio.io"]
    return {
        "name": name,
        "clientConfig": {
            "service": {"name": "istiod", "namespace": SYSTEM, "path": path, "port": 443},
            "caBundle": base64.b64encode(bundle.encode()).decode(),
        },
        "failurePolicy": "Fail",
        "timeoutSeconds": 10,
        "rules": [
            {"operations": ["CREATE"], "apiGroups": groups, "apiVersions": ["*"]}
            | {"resources": [what]}
        ],
        "namespaceSelector": {"matchExpressions": selector},
        "objectSelector": {
            "matchExpressions": [
                {"key": "sidecar.istio.io/inject", "operator": "NotIn", "values": ["false"]}
            ]
        },
    }


def injector(path, bundle):
    """Return istio-sidecar-injector, with two of the four webhooks of the default revision."""
    enabled = {"key": "istio-injection", "operator": "In", "values": ["enabled"]}
    absent = {"key": "istio-injection", "operator": "DoesNotExist"}
    revision = {"key": "istio.io/rev", "operator": "In", "values": ["default"]}
    hooks = [
        hook("rev.namespace.sidecar-injector.istio.io", path, bundle, [revision, absent]),
        hook("namespace.sidecar-injector.istio.io", path, bundle, [enabled]),
    ]
    labels = {"app": "sidecar-injector", "istio.io/rev": "default"}
    name = "istio-sidecar-injector"
    return thing("MutatingWebhookConfiguration", name, labels=labels, webhooks=hooks)


def validator(bundle):
    """Return istiod's own webhook for its configuration, as the host has it."""
    hooks = [hook("rev.validation.istio.io", "/validate", bundle, [], "*")]
    labels = {"app": "istiod", "istio": "istiod", "istio.io/rev": "default"}
    name = "istio-validator-istio-system"
    return thing("ValidatingWebhookConfiguration", name, labels=labels, webhooks=hooks)


def default_validator():
    """Return what the base chart leaves in a remote: no CA, and nobody minds (Ignore)."""
    made = hook("validation.istio.io", "/validate", "", [], "*") | {"failurePolicy": "Ignore"}
    del made["clientConfig"]["caBundle"]
    labels = {"app": "istiod", "istio": "istiod", "istio.io/rev": "default"}
    name = "istiod-default-validator"
    return thing("ValidatingWebhookConfiguration", name, labels=labels, webhooks=[made])
