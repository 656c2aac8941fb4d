"""The namespaces that every mesh has, and the names in them that its parts look for."""

ISTIO_NAMESPACE = "istio-system"
"""Istio's root namespace (istio.io, Global Mesh Options, `rootNamespace`)."""
SAMPLE_NAMESPACE = "sample"
KUBEFED_NAMESPACE = "kube-federation-system"
"""Where the kubefed chart's own documentation installs it."""
MESH_NAMESPACES = (ISTIO_NAMESPACE, SAMPLE_NAMESPACE)
ISTIOD_SAN = f"istiod.{ISTIO_NAMESPACE}.svc"
"""The DNS name in istiod's certificate, for which proxies and webhooks ask it
(pilot/pkg/bootstrap/certcontroller.go)."""
REMOTE_SECRET_PREFIX = "istio-remote-secret-"
"""What the name of a remote secret begins with (istioctl create-remote-secret)."""
