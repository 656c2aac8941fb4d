"""What an account must be allowed to do: all that `up`, `verify` and `down` do in a cluster; pure.

Reading is asked for as a whole, because `down` finds what is ours by its label in every kind. What
writes is listed. `escalate` and `bind` are needed because Istio and KubeFed come with roles of
their own, whose rights the account would else have to have itself; whoever may do that can do
anything, so that a separate account limits mistakes and not malice.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from isthmus.errors import Unprepared

READ_VERBS = ("get", "list")
APPLY_VERBS = ("create", "patch", "delete")
"""Server-side apply is a patch, and a create where the object is not there yet."""
WRITE_VERBS = ("create", "patch", "update", "delete")
"""What Helm and kubefedctl write too: with updates."""
PAGE = "docs/kubeconfig.md"


@dataclass(frozen=True)
class PolicyRule:
    """Some verbs on some resources of one API group, as a rule of a ClusterRole has them."""

    group: str
    resources: tuple[str, ...]
    verbs: tuple[str, ...] = APPLY_VERBS

    def permissions(self) -> "Iterator[Permission]":
        """Give every single right."""
        for resource in self.resources:
            yield from (Permission(verb, resource, self.group) for verb in self.verbs)


@dataclass(frozen=True)
class Permission:
    """One verb on one resource, as one question to the cluster has it."""

    verb: str
    resource: str
    group: str

    def __str__(self) -> str:
        """Name it as people know it: create clusterroles (rbac.authorization.k8s.io)."""
        return f"{self.verb} {self.resource} ({self.group or 'core'})"

    @property
    def review(self) -> dict[str, object]:
        """The question, a SelfSubjectAccessReview about all namespaces."""
        resource, _, part = self.resource.partition("/")
        attributes = {"verb": self.verb, "resource": resource, "group": self.group}
        attributes |= {"subresource": part} if part else {}
        return {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": attributes},
        }


CLUSTER_ADMIN = Permission("*", "*", "*")
"""What an administrator has; asked first, because it makes all others needless."""
RBAC = "rbac.authorization.k8s.io"
COMMON_RULES = (
    PolicyRule("*", ("*",), READ_VERBS),
    PolicyRule(
        "", ("namespaces", "secrets", "configmaps", "services", "serviceaccounts"), WRITE_VERBS
    ),
    PolicyRule("", ("pods",)),
    PolicyRule("", ("pods/exec",), ("create",)),
    PolicyRule("apps", ("deployments",), WRITE_VERBS),
    PolicyRule("autoscaling", ("horizontalpodautoscalers",)),
    PolicyRule("policy", ("poddisruptionbudgets",)),
    PolicyRule(RBAC, ("clusterroles", "roles"), (*WRITE_VERBS, "escalate", "bind")),
    PolicyRule(RBAC, ("clusterrolebindings", "rolebindings"), WRITE_VERBS),
    PolicyRule("apiextensions.k8s.io", ("customresourcedefinitions",), WRITE_VERBS),
    PolicyRule(
        "admissionregistration.k8s.io",
        ("mutatingwebhookconfigurations", "validatingwebhookconfigurations"),
        WRITE_VERBS,
    ),
)
ISTIOD_RULES = (
    PolicyRule(
        "networking.istio.io",
        ("gateways", "virtualservices", "destinationrules", "envoyfilters"),
    ),
)
"""Where an istiod runs; the last two are made by the stack guide only."""
REMOTE_RULES = {
    True: PolicyRule("", ("endpoints",)),
    False: PolicyRule("discovery.k8s.io", ("endpointslices",)),
}
"""How a remote knows the host's istiod, by whether it has an istiod of its own (stack guide)."""
KUBEFED_RULES = (
    PolicyRule(
        "core.kubefed.io",
        ("kubefedclusters", "kubefedconfigs", "federatedtypeconfigs"),
        WRITE_VERBS,
    ),
    PolicyRule(
        "types.kubefed.io", ("federatednamespaces", "federatedsecrets", "federateddeployments")
    ),
)
"""On the host; the members give KubeFed's own account its rights by a role that `join` makes."""


def required_rules(*, host: bool, kubefed: bool, istiod: bool) -> tuple[PolicyRule, ...]:
    """Return the rules of an account for a cluster of this role; `istiod`: it will run one."""
    return (
        *COMMON_RULES,
        *(ISTIOD_RULES if istiod else ()),
        *(() if host else (REMOTE_RULES[istiod],)),
        *(KUBEFED_RULES if host and kubefed else ()),
    )


def missing_permission_errors(cluster: str, missing: Iterable[Permission]) -> list[Unprepared]:
    """Return one refusal that names every right that an account lacks, or none."""
    if not (names := ", ".join(map(str, missing))):
        return []
    message = f"the kubeconfig's account lacks permissions: {names}"
    hint = f"grant them ({PAGE} has a ClusterRole with all that are needed)"
    return [Unprepared(message, cluster=cluster, hint=hint)]
