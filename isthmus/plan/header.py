"""The first lines of ORDER.txt: what it is, what it needs, and how a person makes the trust."""

from isthmus.certificates import VALIDITY_DAYS
from isthmus.environment import Environment
from isthmus.plan.manual_step import MASK
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
