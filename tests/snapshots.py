"""A healthy mesh as a Snapshot, and how to make it ill.

healthy(remotes=1, stack="istio-1.31", federation="kubefed") -> Snapshot
    beijing is the host, then shanghai, region3, ...; every field as the real thing fills it.
changed(snapshot, "shanghai", **fields)   another snapshot: that cluster with other fields
with_object(snapshot, "shanghai", item)   that cluster with one object more, or instead
without(snapshot, "shanghai", kind, name) that cluster with that object gone
edited(snapshot, "shanghai", kind, name, change)  `change(copy)` edits the object in place
probed(snapshot, match, **fields)         the probes for which `match(probe)` with other fields
certificate(subject, issuer=None, ...)    facts of a certificate, below another's or a root
NOW is taken_at; DAY is in seconds. The first snapshot is never changed.

`python tests/snapshots.py REMOTES FILE` writes a healthy one to a file.
"""

import copy
import datetime
import hashlib
import sys
from functools import cache
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from snapshot_cluster import cluster
from snapshot_parts import Place
from snapshot_probes import probes

from isthmus.diagnosis import certificate_facts
from isthmus.diagnosis.objects import name_of
from isthmus.diagnosis.snapshot import CertificateFacts, Snapshot
from isthmus.environment import ClusterSpec, Environment

NOW = 1_790_000_000.0
"""2026-09-21 14:13:20 UTC; the mesh was made on the day before."""
DAY = 86_400.0
LAB_REMOTES = 9
"""More remotes than the lab has room for are clusters that exist."""
NAMES = ("beijing", "shanghai", *(f"region{n}" for n in range(3, 300)))


def healthy(remotes=1, stack="istio-1.31", federation="kubefed"):
    """Return a mesh in which everything is well: one host and that many remotes."""
    names = NAMES[: remotes + 1]
    wide = remotes > LAB_REMOTES
    specs = [
        ClusterSpec(name=n, region=n, network=f"network{i}", **_place(n, wide))
        for i, n in enumerate(names, 1)
    ]
    made = Environment(
        name="pair",
        provider="kubeconfig" if wide else "lab",
        stack=stack,
        federation=federation,
        host=specs[0],
        remotes=specs[1:],
    )
    places = [Place(number, name, stack) for number, name in enumerate(names)]
    trust = Trust()
    return Snapshot(
        isthmus="1.0",
        taken_at=NOW,
        seconds=4.2,
        environment=made.model_dump(mode="json"),
        clusters=[cluster(place, places, trust, NOW) for place in places],
        probes=probes(places, trust),
    )


def _place(name, wide):
    return {"kubeconfig": "/kubeconfig", "context": name} if wide else {}


class Trust:
    """The mesh's root (a real certificate), an intermediate a cluster, and what they issue."""

    def __init__(self, name="pair"):
        self.pem = root_pem(name)
        [self.root] = certificate_facts.facts_of_pem(self.pem)

    def intermediate(self, name):
        """Return the signing certificate of a cluster."""
        subject = f"L={name},CN=isthmus intermediate CA"
        return certificate(subject, self.root, days=3650, is_ca=True)

    def leaf(self, signer, *sans):
        """Return a leaf of a cluster's intermediate and what stands above it."""
        above = self.intermediate(signer)
        own = certificate("", above, days=1, sans=sans, before=NOW - DAY / 4)
        return (own, above, self.root)

    def api_server(self, name):
        """Return the chain that a cluster's API server presents, and its CA."""
        authority = certificate(f"CN=kubernetes-ca-{name}", days=3650, is_ca=True)
        sans = ("kubernetes", "kubernetes.default.svc", f"172.16.{NAMES.index(name)}.10")
        leaf = certificate("CN=kube-apiserver", authority, days=365, sans=sans)
        return (leaf,), (authority,)


def certificate(
    subject, issuer=None, days=365.0, before=NOW - DAY, is_ca=False, sans=(), key=""
) -> CertificateFacts:
    """Return facts of a certificate; without an issuer it signed itself.

    Those of equal arguments are equal; another `key` makes another certificate.
    """
    ident = _hash(f"key {subject} {key} {sans} {issuer.fingerprint if issuer else ''}")
    whole = _hash(f"whole {ident} {before} {days}")
    return CertificateFacts(
        subject=subject,
        issuer=issuer.subject if issuer else subject,
        serial=whole[:32],
        fingerprint=whole,
        key_fingerprint=ident,
        subject_key_id=ident[:40],
        authority_key_id=issuer.subject_key_id if issuer else ident[:40],
        not_before=before,
        not_after=before + days * DAY,
        is_ca=is_ca,
        sans=tuple(sans),
    )


def root_pem(name="pair"):
    """Return a real self-signed root CA (PEM), the same at each call of one run."""
    return _made_root(name)


@cache
def _made_root(name):
    key = ec.generate_private_key(ec.SECP256R1())
    kinds = {x509.NameOID.COMMON_NAME: "isthmus root CA", x509.NameOID.LOCALITY_NAME: name}
    subject = x509.Name([x509.NameAttribute(*pair) for pair in kinds.items()])
    begin = datetime.datetime.fromtimestamp(NOW - DAY, datetime.UTC)
    public = key.public_key()
    builder = x509.CertificateBuilder(subject, subject, public, x509.random_serial_number())
    builder = builder.not_valid_before(begin).not_valid_after(begin + datetime.timedelta(3650))
    builder = builder.add_extension(x509.BasicConstraints(True, None), True)
    builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(public), False)
    signed = builder.sign(key, hashes.SHA256())
    return signed.public_bytes(serialization.Encoding.PEM).decode()


def changed(snapshot, name, **fields):
    """Return a snapshot in which one cluster has other fields."""
    clusters = [c.model_copy(update=fields) if c.name == name else c for c in snapshot.clusters]
    return snapshot.model_copy(update={"clusters": clusters})


def with_object(snapshot, name, item):
    """Return a snapshot in which a cluster has one object more, or in place of its namesake."""
    kind, meta = item["kind"], item["metadata"]
    place = meta["name"], meta.get("namespace")
    kept = [
        o
        for o in snapshot.cluster(name).objects.get(kind, [])
        if (o["metadata"]["name"], o["metadata"].get("namespace")) != place
    ]
    return with_kind(snapshot, name, kind, [*kept, item])


def with_kind(snapshot, name, kind, items):
    """Return a snapshot in which a cluster has these objects of a kind; None: not listed."""
    objects = {k: v for k, v in snapshot.cluster(name).objects.items() if k != kind}
    return changed(snapshot, name, objects=objects if items is None else {**objects, kind: items})


def without(snapshot, name, kind, item):
    """Return a snapshot in which a cluster's objects of that kind and name are gone."""
    found = snapshot.cluster(name).objects[kind]
    kept = [o for o in found if name_of(o) != item]
    assert len(kept) < len(found), f"there is no {kind} {item} in {name}"
    return with_kind(snapshot, name, kind, kept)


def edited(snapshot, name, kind, item, change):
    """Return a snapshot in which `change` has edited a cluster's objects of that name."""
    found = copy.deepcopy(snapshot.cluster(name).objects[kind])
    meant = [o for o in found if name_of(o) == item]
    assert meant, f"there is no {kind} {item} in {name}"
    for each in meant:
        change(each)
    return with_kind(snapshot, name, kind, found)


def probed(snapshot, match, **fields):
    """Return a snapshot in which the probes that match have other fields."""
    assert any(map(match, snapshot.probes)), "no probe matches"
    made = [p.model_copy(update=fields) if match(p) else p for p in snapshot.probes]
    return snapshot.model_copy(update={"probes": made})


def _hash(text):
    return hashlib.sha256(text.encode()).hexdigest()


if __name__ == "__main__":
    Path(sys.argv[2]).write_text(healthy(int(sys.argv[1])).model_dump_json())
