"""The API servers that remote secrets lead to, as the host's pods meet them."""

from collections.abc import Iterator
from fnmatch import fnmatchcase
from ipaddress import ip_address
from urllib.parse import SplitResult, urlsplit

from isthmus.diagnosis.finding import Failure, analyzer, kubectl
from isthmus.diagnosis.services import up
from isthmus.diagnosis.snapshot import CertificateFacts, RemoteSecretFacts, Snapshot, TlsProbe
from isthmus.diagnosis.trust import describe, describe_all, leads_to
from isthmus.diagnosis.wiring import (
    api_probes,
    cluster_name,
    is_synced,
    name_of_secret,
    owner,
    read_secrets,
)


@analyzer("F06", "A remote secret's server cannot be used by the host's istiod")
def unusable_server(snapshot: Snapshot) -> Iterator[Failure]:
    """istiod reads a cluster at the URL of its remote secret, from a pod of the host."""
    for secret, met in api_probes(snapshot, read_secrets(snapshot)):
        if wrong := _wrong_url(snapshot, secret):
            yield wrong
            continue
        for probe in met:
            yield from _as_met(snapshot, secret, probe)


def _wrong_url(snapshot: Snapshot, secret: RemoteSecretFacts) -> Failure | None:
    """Return what a URL itself says; not of one by which istiod has read the cluster."""
    url = _split(secret.server)
    if secret.proxy_url or is_synced(snapshot, secret.key):
        return None
    if not url or url.scheme not in ("http", "https") or not url.hostname:
        cause = "the server is no URL of the form https://HOST:PORT"
    elif _is_loopback(url.hostname):
        cause = "the server is a loopback address: in istiod's pod that is the pod itself"
    elif url.scheme == "http":
        cause = "the server is http://, where an API server speaks TLS alone"
    else:
        return None
    return _failure(
        snapshot,
        secret,
        (f"server: {secret.server or 'none'}",),
        f"{cause}: the kubeconfig was made for another place than a pod of {snapshot.host.name}",
    )


def _split(server: str) -> SplitResult | None:
    try:
        return urlsplit(server)
    except ValueError:
        return None


def _is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        address = ip_address(host)
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


def _as_met(snapshot: Snapshot, secret: RemoteSecretFacts, probe: TlsProbe) -> Iterator[Failure]:
    if not probe.connected or probe.error_at:
        yield _unreachable(snapshot, secret, probe)
        return
    chain, roots = probe.certificates, secret.authority
    if chain and roots and not leads_to(chain, roots):
        yield _other_authority(snapshot, secret, probe)
        return
    name = secret.tls_server_name or probe.host
    if chain and chain[0].sans and not _is_named(chain[0], name):
        yield _other_name(snapshot, secret, probe, name)


def _unreachable(snapshot: Snapshot, secret: RemoteSecretFacts, probe: TlsProbe) -> Failure:
    host, remote = snapshot.host.name, owner(snapshot, secret)
    said = probe.error or "no connection"
    evidence = [f"{probe.source_pod} in {host} to {probe.endpoint}: {said}"]
    places = f"between {host}'s pods and {probe.endpoint}"
    if probe.error_at == "name":
        cause = f"the DNS of {host} does not know the name {probe.host}"
    elif probe.error_at == "tls":
        cause = "what answers there does not complete a TLS handshake, as an API server does"
    elif secret.login.asked:
        evidence.append(f"this machine got an answer there: status {secret.login.status}")
        cause = f"a firewall, a security group or a missing route is {places}: the address is "
        cause += "one that only others reach"
    else:
        if remote and not remote.reachable:
            evidence.append(f"nor does {remote.name} answer this machine")
        cause = f"either the API server is down, or a firewall or a missing route is {places}"
    certain = bool(probe.error_at in ("name", "tls") or secret.login.asked)
    return _failure(snapshot, secret, tuple(evidence), cause, certain, probe)


def _other_authority(snapshot: Snapshot, secret: RemoteSecretFacts, probe: TlsProbe) -> Failure:
    leaf = probe.certificates[0]
    evidence = (
        f"{probe.endpoint} presents {describe(leaf)}, issued by {leaf.issuer}",
        f"certificate-authority-data of the Secret: {describe_all(secret.authority)}",
    )
    cause = (
        "x509: certificate signed by unknown authority: a proxy or load balancer with a "
        "certificate of its own stands before the API server, or the cluster's CA is a new one"
    )
    return _failure(snapshot, secret, evidence, cause)


def _other_name(
    snapshot: Snapshot, secret: RemoteSecretFacts, probe: TlsProbe, name: str
) -> Failure:
    sans = ", ".join(probe.certificates[0].sans)
    evidence = (f"{probe.endpoint} presents a certificate for: {sans}", f"istiod asks for {name}")
    cause = f"x509: the certificate is not valid for {name}, by which the remote secret calls it"
    return _failure(snapshot, secret, evidence, cause)


def _is_named(leaf: CertificateFacts, name: str) -> bool:
    """Tell whether a certificate is for a name or an address (RFC 6125; Go's crypto/x509)."""
    wanted = name.lower().rstrip(".")
    try:
        address = ip_address(wanted)
    except ValueError:
        return any(_matches(wanted, san.lower().rstrip(".")) for san in leaf.sans)
    return str(address) in leaf.sans


def _matches(name: str, pattern: str) -> bool:
    if not pattern.startswith("*."):
        return name == pattern
    return name.count(".") == pattern.count(".") and fnmatchcase(name, pattern)


def _failure(
    snapshot: Snapshot,
    secret: RemoteSecretFacts,
    evidence: tuple[str, ...],
    cause: str,
    certain: bool = True,
    probe: TlsProbe | None = None,
) -> Failure:
    name = cluster_name(snapshot, secret)
    lines = [f"# set `server` of {name} in the environment file to a URL that pods of "
             f"{snapshot.host.name} reach, then:\n{up(snapshot)}"]  # fmt: skip
    if probe and probe.source_pod and not probe.connected:
        space, _, pod = probe.source_pod.partition("/")
        curl = f"curl -k -m 5 {secret.server}/version"
        again = kubectl(snapshot.host.name, f"-n {space} exec {pod} -c istio-proxy -- {curl}")
        lines.append(f"# it is reached when this prints a version or 401:\n{again}")
    return Failure(
        clusters=(snapshot.host.name, name) if probe else (name,),
        object=name_of_secret(secret),
        evidence=evidence,
        cause=cause,
        fix="\n".join(lines),
        certain=certain,
    )


ANALYZERS = (unusable_server,)
