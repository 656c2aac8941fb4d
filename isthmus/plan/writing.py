"""The plan as a folder: ORDER.txt tells what to do, numbered files hold what it reads."""

import json
import re
from pathlib import Path
from typing import Any

import yaml

from isthmus.adapters.diff import with_environment_label
from isthmus.certificates import VALIDITY_DAYS
from isthmus.environment import Environment
from isthmus.plan.manual_step import FILE, MASK, ManualStep
from isthmus.plan.sequence import entries
from isthmus.stacks import load

TEXT = """\
What `isthmus up` does for the environment {name}, in an order in which a person can do it by hand.
Stack {stack}: Istio {istio}, Kubernetes {min} to {max}{kubefed}.

Run it in this folder, by bash, with kubectl, istioctl {istio}, envsubst{more} and openssl.{chart}
Each context is a cluster's name, as in the kubeconfig that `isthmus up` makes:

   set -euo pipefail; umask 077
   export KUBECONFIG=$(isthmus kubeconfig {name})

No secret is in these files: {mask} stands in its place. These lines make what the clusters need to
trust each other, a root and an intermediate for each cluster, in the folder ca. If `isthmus up` has
run, copy the folder ca that lies beside its kubeconfig instead, and run only the lines with cat.

   mkdir -p {folders}
   openssl req -x509 -newkey rsa:4096 -nodes -days {days} -subj "/CN=root CA/L={name}" \
-addext keyUsage=critical,keyCertSign,cRLSign -keyout ca/root-key.pem -out ca/root-cert.pem
   printf "%s\\n" basicConstraints=critical,CA:true,pathlen:0 \
keyUsage=critical,keyCertSign,cRLSign subjectKeyIdentifier=hash authorityKeyIdentifier=keyid \
subjectAltName=DNS:istiod.istio-system.svc > ca/extensions
"""
INTERMEDIATE = """\
   openssl req -newkey rsa:4096 -nodes -subj "/CN=intermediate CA/L={cluster}" \
-keyout ca/{cluster}/ca-key.pem -out ca/{cluster}/request.pem
   openssl x509 -req -days {days} -in ca/{cluster}/request.pem -extfile ca/extensions \
-CA ca/root-cert.pem -CAkey ca/root-key.pem -CAcreateserial -out ca/{cluster}/ca-cert.pem
   cat ca/{cluster}/ca-cert.pem ca/root-cert.pem > ca/{cluster}/cert-chain.pem
"""

INDENT = "   "


def write(environment: Environment, directory: Path, istioctl: Path | None) -> list[Path]:
    """Make `directory` hold ORDER.txt and a numbered file for each that it names; return all.

    Without `istioctl`, the program, all but what it would make.
    """
    directory.mkdir(parents=True, exist_ok=True)
    made = entries(environment, istioctl)
    digits = max(2, len(str(len(made))))
    files, order = [], [text(environment)]
    for number, entry in enumerate(made, 1):
        path = directory / f"{number:0{digits}d}-{entry.cluster}-{_slug(entry)}.yaml"
        if content := _content(entry, environment.name):
            path.write_text(content)
            files.append(path)
        order.append(f"{number:0{digits}d} {entry.cluster}: {entry.title}\n{_lines(entry, path)}")
    index = directory / "ORDER.txt"
    index.write_text("\n".join(order))
    return [index, *files]


def _slug(entry: ManualStep) -> str:
    return entry.file or re.sub(r"[^a-z0-9]+", "-", entry.title.lower())


def _lines(entry: ManualStep, path: Path) -> str:
    return "".join(f"{INDENT}{line.replace(FILE, path.name)}\n" for line in entry.commands)


def _content(entry: ManualStep, environment: str) -> str:
    objects = [with_environment_label(m, environment) for m in entry.objects]
    documents = objects or ([entry.stdin] if entry.stdin else [])
    # Through JSON: what is the same object in two places must not become an anchor in YAML.
    plain = [json.loads(json.dumps(document)) for document in documents]
    return yaml.dump_all(plain, Dumper=_Dumper, sort_keys=False, width=100) if plain else ""


class _Dumper(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc]
    """Writes texts of several lines as such, for a person to read."""


def _text(dumper: Any, text: str) -> Any:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)


def text(environment: Environment) -> str:
    """Return all that comes before the first entry."""
    stack, names = load(environment.stack), [c.name for c in environment.clusters]
    kubefed, more, chart = "", "", ""
    if environment.federation == "kubefed" and not environment.has_console_federation:
        kubefed = f", KubeFed {stack.versions.kubefed}"
        more, chart = ", helm, kubefedctl", "\nKubeFed's Helm chart is the folder kubefed-chart."
    return TEXT.format(
        name=environment.name,
        stack=stack.name,
        istio=stack.versions.istio,
        min=stack.kubernetes.min,
        max=stack.kubernetes.max,
        kubefed=kubefed,
        more=more,
        chart=chart,
        mask=MASK,
        folders=" ".join(f"ca/{name}" for name in names),
        days=VALIDITY_DAYS,
    ) + "".join(INTERMEDIATE.format(cluster=name, days=VALIDITY_DAYS) for name in names)
