"""The plan: all that a build applies and runs, per cluster and in order, for a person to read.

Secrets are masked, and the one value that only a running host knows is named instead.
"""

import json
import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from isthmus import federation, images, providers, tools
from isthmus.adapters import federated, istioctl
from isthmus.adapters.manifests import Manifest, labelled
from isthmus.environment import ClusterSpec, Environment
from isthmus.mesh import READER, Mesh, mesh
from isthmus.render import render

ENDPOINT = "ISTIOD_REMOTE_EP"
"""Stands for the address of the host's gateway, as in the guide."""
MASK = "***"


@dataclass(frozen=True)
class Entry:
    """One thing to do in one cluster: objects to apply, or a command to run with its input."""

    cluster: str
    title: str
    objects: tuple[Manifest, ...] = ()
    command: tuple[str, ...] = ()
    stdin: Any = None


def write(environment: Environment, directory: Path) -> list[Path]:
    """Make `directory` hold ORDER.txt and a numbered file for what it applies; return all."""
    directory.mkdir(parents=True, exist_ok=True)
    files, order = [], []
    for number, entry in enumerate(entries(environment), 1):
        slug = re.sub(r"[^a-z0-9]+", "-", entry.title)
        path = directory / f"{number:02d}-{entry.cluster}-{slug}.yaml"
        if entry.objects or entry.stdin:
            path.write_text(_text(entry, environment.name))
            files.append(path)
        order.append(f"{number:02d} {entry.cluster}: {entry.title}\n   {_how(entry, path.name)}\n")
    index = directory / "ORDER.txt"
    index.write_text("".join(order))
    return [index, *files]


def image_names(environment: Environment) -> list[str]:
    """Return the names of all images that a build runs, sorted, each once."""
    return images.needed(environment, providers.of(environment).defaults.images)


def entries(environment: Environment) -> list[Entry]:
    """Return all that a build does, in an order in which a person can do it."""
    sample = mesh(environment, providers.of(environment).defaults)
    program = tools.ensure(environment, "istioctl")
    return [
        *_federation(environment, sample),
        *_host(environment.host, sample, program),
        *(
            e
            for remote in environment.remotes
            for e in _remote(environment, remote, sample, program)
        ),
        *_exposed(environment, sample),
        *_sample(environment, sample),
    ]


def _federation(environment: Environment, sample: Mesh) -> list[Entry]:
    host = environment.host.name
    system = federation.system_space(environment)
    secret = federation.plain_secret({"ca-key.pem": MASK})
    if environment.federation == "direct":
        return [
            Entry(c.name, "namespace istio-system with cacerts", (system.plain(c.name), secret))
            for c in environment.clusters
        ]
    chart = ("helm", "upgrade", "--install", "kubefed", "kubefed-chart", "--no-hooks")
    joins = [
        Entry(host, f"join {c.name}", command=("kubefedctl", "join", c.in_federation,
              f"--cluster-context={c.name}", f"--host-cluster-context={host}"))
        for c in environment.clusters
    ]  # fmt: skip
    masked = {c.in_federation: {"ca-key.pem": MASK} for c in environment.clusters}
    everywhere = (
        system.federated(environment.name),
        federation.federated_secret(environment.name, masked),
    )
    space = federation.Space(federated.NAMESPACE, {}, {host: {}}).plain(host)
    scale = ("kubectl", f"--context={host}", f"--namespace={federated.NAMESPACE}", "scale")
    return [
        Entry(host, "namespace of kubefed", (space,)),
        Entry(
            host,
            "kubefed",
            command=(*chart, f"--namespace={federated.NAMESPACE}", "--values=-"),
            stdin=sample.kubefed_values(),
        ),
        Entry(
            host,
            "controllers of kubefed, once its webhook is ready",
            command=(*scale, "deployment/kubefed-controller-manager", "--replicas=1"),
        ),
        *joins,
        Entry(host, "namespace istio-system with cacerts", (system.plain(host), secret)),
        Entry(host, "federated istio-system and cacerts", everywhere),
    ]


def _host(host: ClusterSpec, sample: Mesh, program: Path) -> list[Entry]:
    exposure = tuple(sample.control_exposure())
    exposed = [Entry(host.name, "exposure of the control plane", exposure)] if exposure else []
    return [*_istio(host.name, sample.host_operator(), sample, program, "host"), *exposed]


def _remote(
    environment: Environment, remote: ClusterSpec, sample: Mesh, program: Path
) -> list[Entry]:
    first, gateway = _istio(
        remote.name, sample.remote_operator(remote, ENDPOINT), sample, program, "remote"
    )
    token = render("wiring/token.yaml.j2", account=READER)
    secret = render("wiring/remote-secret.yaml.j2", cluster=remote.name, kubeconfig=MASK)
    return [
        first,
        Entry(remote.name, "token of the mesh's reader", tuple(token)),
        Entry(environment.host.name, f"remote secret of {remote.name}", tuple(secret)),
        gateway,
    ]


def _istio(cluster: str, operator: Manifest, sample: Mesh, program: Path, role: str) -> list[Entry]:
    objects = istioctl.manifests(program, operator)
    first = tuple(m for m in objects if not sample.starts_last(m))
    return [
        Entry(cluster, f"istio {role}", first),
        Entry(cluster, "gateway", tuple(m for m in objects if sample.starts_last(m))),
    ]


def _exposed(environment: Environment, sample: Mesh) -> list[Entry]:
    exposures = {c.name: tuple(sample.service_exposure(c.name)) for c in environment.clusters}
    return [
        Entry(name, "exposure of services", objects)
        for name, objects in exposures.items()
        if objects
    ]


def _sample(environment: Environment, sample: Mesh) -> list[Entry]:
    host = environment.host.name
    space = federation.sample_space(environment)
    callers = [Entry(c.name, "caller", tuple(sample.callers(c.name))) for c in environment.clusters]
    if environment.federation == "direct":
        versions = {c.name: sample.version_on(c.name) for c in environment.clusters}
        return [
            Entry(name, "helloworld", (space.plain(name), sample.helloworld(version)))
            for name, version in versions.items()
        ] + callers
    objects = (space.plain(host), space.federated(environment.name), sample.federated_helloworld())
    return [Entry(host, "federated helloworld", objects), *callers]


def _text(entry: Entry, environment: str) -> str:
    if entry.command:
        given = yaml.safe_dump(entry.stdin, sort_keys=False) if entry.stdin else ""
        return f"# {shlex.join(entry.command)}\n{given}"
    objects = [json.loads(json.dumps(labelled(m, environment))) for m in entry.objects]
    return yaml.safe_dump_all(objects, sort_keys=False)


def _how(entry: Entry, file: str) -> str:
    if not entry.command:
        return f"kubectl --context={entry.cluster} apply --server-side -f {file}"
    given = f" < {file}" if entry.stdin else ""
    return shlex.join(entry.command) + given
