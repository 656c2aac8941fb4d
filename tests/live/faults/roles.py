"""Names of what Istio's charts make for the reader (istio manifests/charts/istio-control)."""

ROLE = "istio-reader-clusterrole-istio-system"
"""Its ClusterRole, and its ClusterRoleBinding's name."""
