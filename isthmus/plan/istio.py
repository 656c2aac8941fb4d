"""Istio by hand: each cluster's IstioOperator, the objects that come of it, and the wiring."""

import shlex
from pathlib import Path
from typing import Any

from isthmus.adapters import istioctl
from isthmus.adapters.diff import ENVIRONMENT_LABEL, Manifest
from isthmus.environment import ClusterSpec, Environment
from isthmus.environment.namespaces import ISTIO_NAMESPACE, ISTIOD_SAN
from isthmus.istio_manifests import INJECTOR, READER_SERVICE_ACCOUNT, ResolvedEnvironment
from isthmus.plan.manual_step import (
    ENDPOINT,
    ENVSUBST_COMMAND,
    FILE,
    MASK,
    ManualStep,
    apply,
    apply_step,
    kubectl,
    label_command,
    rollout_status,
    secret_step,
    until,
)
from isthmus.render import render
from isthmus.step_results import IstiodEndpoint

PLACEHOLDER_ADDRESS = "203.0.113.1"
"""An address of nobody's (RFC 5737). For a word istioctl would make other objects: it takes it for
a host name."""
NAMESPACE_ARGS = ("-n", ISTIO_NAMESPACE)
GENERATE = shlex.join(["istioctl", *istioctl.GENERATE])
PRINTS = "# prints what the next files hold:"
HOSTNAME = "# if the endpoint is a host name, they do not hold the same: apply what is printed"
OLD_TOKENS = (
    "# if `kubectl get --raw /api/v1` shows no serviceaccounts/token: "
    "add --set values.global.jwtPolicy=first-party-jwt and apply what is printed"
)
NO_ISTIOCTL_NOTE = (
    "# no file holds them: istioctl was not here; apply what the IstioOperator's command prints,"
)
NO_ISTIOCTL_ORDER_NOTE = "# the gateway's Deployment last of all, once pods are injected"
LOAD_BALANCER = "{.status.loadBalancer.ingress[0].ip}"


def entries(
    environment: Environment, mesh: ResolvedEnvironment, program: Path | None
) -> list[ManualStep]:
    """Return what installs the host, attaches every remote, and exposes services to all."""
    made = _host(mesh, program)
    for number, remote in enumerate(environment.remotes):
        made += _remote(mesh, remote, number, program)
    return made + _exposed(environment, mesh)


def _host(mesh: ResolvedEnvironment, program: Path | None) -> list[ManualStep]:
    host, operator = mesh.host, mesh.host_operator()
    objects = istioctl.manifests(program, operator) if program else []
    exposure = tuple(mesh.expose_istiod_manifests())
    exposed = [apply_step(host, "exposure of the control plane", exposure)] if exposure else []
    return [
        _operator(mesh, host, operator, "istio-main-cluster"),
        *_installed(
            mesh, host, "istio host", objects, rollout_status(host, ISTIO_NAMESPACE, "istiod")
        ),
        *exposed,
        _gateway(mesh, host, objects),
        _endpoint(mesh),
    ]


def _remote(
    mesh: ResolvedEnvironment, remote: ClusterSpec, number: int, program: Path | None
) -> list[ManualStep]:
    name = remote.name
    sample = mesh.remote_operator(remote, PLACEHOLDER_ADDRESS)
    objects: list[Manifest] = _insert_endpoint_name(
        istioctl.manifests(program, sample) if program else []
    )
    own = [rollout_status(name, ISTIO_NAMESPACE, "istiod")] if mesh.stack.istiod_in_remotes else []
    operator = mesh.remote_operator(remote, ENDPOINT)
    return [
        _operator(mesh, name, operator, f"istio-remote{number}-cluster"),
        *_installed(mesh, name, "istio remote", objects, *own),
        *_remote_secret_steps(mesh, remote),
        _gateway(mesh, name, objects),
    ]


def _operator(mesh: ResolvedEnvironment, cluster: str, operator: Manifest, file: str) -> ManualStep:
    """Return the entry of an IstioOperator: its file is called as in the guide."""
    remote = cluster != mesh.host
    command = f"{ENVSUBST_COMMAND} < {FILE} | {GENERATE} -" if remote else f"{GENERATE} {FILE}"
    notes = [OLD_TOKENS] if mesh.stack.old_tokens else []
    notes += [HOSTNAME] if remote and mesh.stack.gateway.hostnames else []
    commands = (PRINTS, command, *notes)
    return ManualStep(cluster, "IstioOperator", stdin=operator, commands=commands, file=file)


def _installed(
    mesh: ResolvedEnvironment, cluster: str, title: str, objects: list[Manifest], *then: str
) -> list[ManualStep]:
    """Return what applies all but what starts last; first what defines kinds, then those."""
    if not objects:
        return [
            ManualStep(cluster, title, commands=(NO_ISTIOCTL_NOTE, NO_ISTIOCTL_ORDER_NOTE, *then))
        ]
    first = [m for m in objects if not mesh.starts_last(m)]
    kinds = [m for m in first if m["kind"] == "CustomResourceDefinition"]
    groups = {m["spec"]["group"] for m in kinds}
    own = [m for m in first if m["apiVersion"].partition("/")[0] in groups]
    selector = f"--selector={ENVIRONMENT_LABEL}={mesh.environment.name}"
    served = ("wait", "--for=condition=Established", "crds", selector, "--timeout=60s")
    waits = [*([kubectl(cluster, *served)] if kinds else []), *then]
    made = [apply_step(cluster, title, (m for m in first if m not in own), *waits)]
    return made + ([apply_step(cluster, f"{title}, its own rules", own)] if own else [])


def _gateway(mesh: ResolvedEnvironment, cluster: str, objects: list[Manifest]) -> ManualStep:
    last = [m for m in objects if mesh.starts_last(m)]
    waits = (
        until(f"{_look_up(mesh, cluster)} | grep ."),
        rollout_status(cluster, ISTIO_NAMESPACE, mesh.stack.gateway.name),
    )
    if not last:
        return ManualStep(
            cluster, "gateway", commands=(NO_ISTIOCTL_NOTE, NO_ISTIOCTL_ORDER_NOTE, *waits)
        )
    return apply_step(cluster, "gateway", last, *waits)


def _endpoint(mesh: ResolvedEnvironment) -> ManualStep:
    host, look = mesh.host, _look_up(mesh, mesh.host)
    where = IstiodEndpoint(cluster=host, address=ENDPOINT).found
    names = f"-servername {ISTIOD_SAN} -verify_hostname {ISTIOD_SAN}"
    trust = "-CAfile ca/root-cert.pem -verify_return_error"
    handshake = f'openssl s_client -connect "{where}" {names} {trust} < /dev/null'
    commands = (f"export ISTIOD_REMOTE_EP=$({look})", until(handshake))
    return ManualStep(host, "istiod remote endpoint", commands=commands)


def _remote_secret_steps(mesh: ResolvedEnvironment, cluster: ClusterSpec) -> list[ManualStep]:
    remote = cluster.name
    token = render("wiring/token.yaml.j2", account=READER_SERVICE_ACCOUNT)
    [secret] = render("wiring/remote-secret.yaml.j2", cluster=remote, kubeconfig=MASK)
    data = ("-o", "jsonpath={.data.token}")
    look = kubectl(remote, *NAMESPACE_ARGS, "get", "secret", token[0]["metadata"]["name"], *data)
    secret_of = ("istioctl", *mesh.stack.remote_secret, f"--context={remote}", f"--name={remote}")
    # The guide's istioctl has no flag for it.
    at = [shlex.join(["sed", f"s|server: .*|server: {cluster.server}|"])] if cluster.server else []
    printed = [shlex.join([*secret_of, *NAMESPACE_ARGS]), *at]
    made = " | ".join([*printed, label_command(mesh.environment.name), apply(mesh.host, "-")])
    note = f"# only if pods reach {remote} at another URL than you do: make that its `server`"
    return [
        apply_step(remote, "token of the mesh's reader", token, until(f"{look} | grep -q .")),
        secret_step(mesh.host, f"remote secret of {remote}", secret, made, *([] if at else [note])),
        _wait_ca_and_injector(remote),
    ]


def _wait_ca_and_injector(remote: str) -> ManualStep:
    root = kubectl(remote, *NAMESPACE_ARGS, "get", "configmap", "istio-ca-root-cert")
    bundles = ("-o", "jsonpath={.webhooks[*].clientConfig.caBundle}")
    injector = kubectl(remote, "get", "mutatingwebhookconfiguration", INJECTOR, *bundles)
    commands = (until(root), until(f"{injector} | grep -q ."))
    title = "istio-ca-root-cert and the injector's caBundle, once istiod has set them"
    return ManualStep(remote, title, commands=commands)


def _exposed(environment: Environment, mesh: ResolvedEnvironment) -> list[ManualStep]:
    exposures = {c.name: mesh.expose_services_manifests(c.name) for c in environment.clusters}
    return [
        apply_step(name, "exposure of services", objects, file=objects[0]["metadata"]["name"])
        for name, objects in exposures.items()
        if objects
    ]


def _look_up(mesh: ResolvedEnvironment, cluster: str) -> str:
    """Return the command that prints the address of a cluster's gateway."""
    gateway = mesh.stack.gateway
    path = LOAD_BALANCER + (LOAD_BALANCER.replace(".ip", ".hostname") if gateway.hostnames else "")
    return kubectl(
        cluster, *NAMESPACE_ARGS, "get", "service", gateway.name, "-o", f"jsonpath={path}"
    )


def _insert_endpoint_name(value: Any) -> Any:
    """Return the value with the endpoint's name in the place of the address that stood for it."""
    if isinstance(value, dict):
        return {key: _insert_endpoint_name(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_insert_endpoint_name(inner) for inner in value]
    return value.replace(PLACEHOLDER_ADDRESS, ENDPOINT) if isinstance(value, str) else value
