"""How long certificates are valid: of CAs, of proxies, of istiod and of API servers."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from isthmus.diagnosis.finding import Failure, Severity, analyzer, kubectl
from isthmus.diagnosis.services import up
from isthmus.diagnosis.signers import CACERTS, signing_clusters
from isthmus.diagnosis.snapshot import CertificateFacts, Snapshot
from isthmus.diagnosis.times import DAY, span, utc
from isthmus.diagnosis.trust import describe
from isthmus.environment.namespaces import ISTIO_NAMESPACE

SOON, NOW = 90 * DAY, 7 * DAY
SHARE, LAST_SHARE = 1 / 5, 1 / 20
"""What is left of a life when somebody ought to have renewed it: these shares count where they are
less than 90 days. Istio renews leaves at half of their life (SECRET_GRACE_PERIOD_RATIO), and
cert-manager CAs at two thirds. A CA or an API server with less than 7 days is told of always."""
SKEW = 120.0
"""By how much istiod dates certificates back, for clocks that differ (security/pkg/pki/util/
generate_cert.go, ClockSkewGracePeriod)."""
SHOWN = 5
PROXY, CA, ISTIOD, API_SERVER = "proxy", "ca", "istiod", "api-server"


ROOT_FIX = (
    "# a root is changed in three moves, with ISTIO_MULTIROOT_MESH=true on istiod and "
    "PROXY_CONFIG_XDS_AGENT=true in proxies: root-cert.pem of cacerts = old + new, then the new "
    "signer, then the new root alone"
)
"""Source: istio tests/integration/security/cacert_rotation."""


@dataclass
class Holding:
    """A certificate, what it is for, and where it was seen."""

    certificate: CertificateFacts
    role: str
    clusters: dict[str, None] = field(default_factory=dict)
    places: dict[str, None] = field(default_factory=dict)


@analyzer("F21", "A certificate has expired, expires soon, or is not valid yet")
def validity(snapshot: Snapshot) -> Iterator[Failure]:
    """Nobody renews a plugged-in CA; a leaf that is not renewed has lost its istiod."""
    proxies: dict[tuple[str, str], list[Holding]] = {}
    for holding in _holdings(snapshot).values():
        if not (state := _state(holding, snapshot.taken_at)):
            continue
        if holding.role == PROXY:
            proxies.setdefault((state, next(iter(holding.clusters))), []).append(holding)
        else:
            yield _failure(snapshot, [holding], state)
    for (state, _), holdings in proxies.items():
        yield _failure(snapshot, holdings, state)


def _state(holding: Holding, now: float) -> str:
    certificate = holding.certificate
    left, life = certificate.not_after - now, certificate.not_after - certificate.not_before
    if left <= 0:
        return "expired"
    if certificate.not_before > now + SKEW:
        return "early"
    lasting = holding.role in (CA, API_SERVER)
    if left < (NOW if lasting else min(NOW, life * LAST_SHARE)):
        return "now"
    return "soon" if left < min(SOON, life * SHARE) else ""


def _holdings(snapshot: Snapshot) -> dict[str, Holding]:
    """Return each certificate once, by its fingerprint."""
    found: dict[str, Holding] = {}
    for certificate, role, cluster, place in _seen(snapshot):
        holding = found.setdefault(certificate.fingerprint, Holding(certificate, role))
        holding.clusters[cluster] = None
        holding.places[place] = None
    return found


def _seen(snapshot: Snapshot) -> Iterator[tuple[CertificateFacts, str, str, str]]:
    for cluster in snapshot.clusters:
        if ca := cluster.cacerts:
            for each in (*([ca.signing] if ca.signing else []), *ca.chain, *ca.roots):
                yield each, CA, cluster.name, f"{CACERTS} of {cluster.name}"
        for proxy in cluster.proxies:
            place = f"{proxy.namespace}/{proxy.pod} of {cluster.name}"
            for each in proxy.leaf[:1]:
                yield each, PROXY, cluster.name, place
            for each in (*proxy.leaf[1:], *proxy.roots):
                yield each, CA, cluster.name, place
    for probe in snapshot.probes:
        role = {"api-server": API_SERVER, "istiod": ISTIOD, "webhook": ISTIOD}.get(probe.purpose)
        if role:
            for each in probe.certificates[:1]:
                yield each, role, probe.target, f"{probe.endpoint}, asked from {probe.source}"


def _failure(snapshot: Snapshot, holdings: list[Holding], state: str) -> Failure:
    first = holdings[0]
    clusters = dict.fromkeys(name for h in holdings for name in h.clusters)
    places = [place for h in holdings for place in h.places]
    more = f" and {len(places) - SHOWN} more" if len(places) > SHOWN else ""
    unused = first.role == CA and not _is_used(snapshot, first)
    severity: Severity = "warning" if state == "soon" or unused else "error"
    return Failure(
        clusters=tuple(clusters),
        object=_object(first),
        evidence=(
            f"{describe(first.certificate)}: {_when(first.certificate, state, snapshot.taken_at)}",
            f"seen at {', '.join(places[:SHOWN])}{more}",
        ),
        cause=_cause(first.role, state),
        fix=_fix(snapshot, holdings, state),
        severity=severity,
        certain=state != "early",
    )


def _is_used(snapshot: Snapshot, holding: Holding) -> bool:
    """Tell whether a CA is in the Secret of a cluster that signs, or with a proxy."""
    signing = [f"{CACERTS} of {c.name}" for c in signing_clusters(snapshot)]
    return any(p in signing or not p.startswith(CACERTS) for p in holding.places)


def _object(holding: Holding) -> str:
    if holding.role == PROXY:
        return "certificates of proxies"
    in_secret = any(place.startswith(CACERTS) for place in holding.places)
    return f"{CACERTS if in_secret else 'certificate'}: {describe(holding.certificate)}"


def _when(certificate: CertificateFacts, state: str, now: float) -> str:
    if state == "early":
        ahead = span(certificate.not_before - now)
        return f"notBefore {utc(certificate.not_before)}, {ahead} after the snapshot"
    end = certificate.not_after
    relation = f"{span(now - end)} ago" if state == "expired" else f"in {span(end - now)}"
    return f"notAfter {utc(end)}, {relation}"


def _cause(role: str, state: str) -> str:
    if state == "early":
        return (
            "either the clock of the machine that issued it is ahead, or the clock of the one "
            "that took the snapshot is behind"
        )
    return {
        CA: "the CA nears its end or is past it, and nobody renews a plugged-in CA by itself: no "
        "leaf outlives it, and all that it signed fails with certificate has expired",
        PROXY: "the proxy has not renewed its certificate, as it does at half of its life: it does "
        "not reach istiod, or istiod refuses to sign",
        ISTIOD: "istiod has not renewed its own serving certificate, or cannot sign one that "
        "outlives its CA",
        API_SERVER: "the API server's certificate is renewed by the cluster's own tool alone "
        "(kubeadm: certs renew), and that was not run",
    }[role]


def _fix(snapshot: Snapshot, holdings: list[Holding], state: str) -> str:
    first, name = holdings[0], next(iter(holdings[0].clusters))
    if state == "early":
        return (
            kubectl(name, "get nodes -o wide") + "  # then, on each of them and here: timedatectl"
        )
    if first.role == PROXY:
        return "\n".join(_delete_pod(name, place) for h in holdings[:SHOWN] for place in h.places)
    if first.role == API_SERVER:
        return f"kubeadm certs renew all  # or its like, on {name}'s control plane, then restart it"
    restart = kubectl(snapshot.host.name, f"-n {ISTIO_NAMESPACE} rollout restart deployment/istiod")
    if first.role == ISTIOD:
        return restart
    return (
        ROOT_FIX
        if first.certificate.subject == first.certificate.issuer
        else (f"{up(snapshot)}\n{restart}")
    )


def _delete_pod(cluster: str, place: str) -> str:
    space, _, pod = place.partition(" of ")[0].partition("/")
    return kubectl(cluster, f"-n {space} delete pod {pod}")


ANALYZERS = (validity,)
