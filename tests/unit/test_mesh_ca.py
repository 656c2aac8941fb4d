"""The mesh's trust: one root, an intermediate a cluster, and no key where none belongs."""

import datetime
import stat
import subprocess
import traceback
from itertools import pairwise

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from isthmus import certificates, mesh_ca
from isthmus.errors import IsthmusError

KEYS = {"ca-cert.pem", "ca-key.pem", "root-cert.pem", "cert-chain.pem"}


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "pair" / "ca"


def load(text):
    return x509.load_pem_x509_certificate(text.encode())


def test_a_cluster_gets_what_istiod_reads(folder):
    assert set(mesh_ca.cacerts(folder, "beijing")) == KEYS


def test_the_chain_leads_from_the_intermediate_to_the_root(folder):
    content = mesh_ca.cacerts(folder, "beijing")
    chain = x509.load_pem_x509_certificates(content["cert-chain.pem"].encode())
    assert [chain[0], chain[-1]] == [load(content["ca-cert.pem"]), load(content["root-cert.pem"])]
    for child, parent in pairwise([*chain, chain[-1]]):
        child.verify_directly_issued_by(parent)


def test_the_intermediate_may_sign_workloads_and_no_further_authority(folder):
    own = load(mesh_ca.cacerts(folder, "beijing")["ca-cert.pem"])
    limits = own.extensions.get_extension_for_class(x509.BasicConstraints).value
    assert (limits.ca, limits.path_length) == (True, 0)
    assert own.extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign


def test_the_key_is_the_one_that_the_certificate_is_for(folder):
    content = mesh_ca.cacerts(folder, "beijing")
    key = load_pem_private_key(content["ca-key.pem"].encode(), None)
    assert key.public_key() == load(content["ca-cert.pem"]).public_key()


@pytest.mark.parametrize("strict", [[], ["-x509_strict"]], ids=["usual", "strict"])
def test_another_program_finds_the_chain_good(folder, tmp_path, strict):
    content = mesh_ca.cacerts(folder, "beijing")
    for name, text in content.items():
        (tmp_path / name).write_text(text)
    files = ["-CAfile", tmp_path / "root-cert.pem", tmp_path / "ca-cert.pem"]
    done = subprocess.run(["openssl", "verify", *strict, *files], capture_output=True, text=True)
    assert done.stdout.strip().endswith(": OK"), done.stderr


def test_all_clusters_trust_one_root_by_intermediates_of_their_own(folder):
    one, other = mesh_ca.cacerts(folder, "beijing"), mesh_ca.cacerts(folder, "shanghai")
    assert one["root-cert.pem"] == other["root-cert.pem"] == mesh_ca.ensure_root_certificate(folder)
    assert one["ca-cert.pem"] != other["ca-cert.pem"]
    assert one["ca-key.pem"] != other["ca-key.pem"]


def test_two_environments_trust_nothing_in_common(folder, tmp_path):
    assert mesh_ca.ensure_root_certificate(folder) != mesh_ca.ensure_root_certificate(
        tmp_path / "other" / "ca"
    )


def test_asked_again_nothing_changes(folder):
    first = mesh_ca.cacerts(folder, "beijing")
    assert mesh_ca.cacerts(folder, "beijing") == first


def test_the_roots_key_is_in_no_clusters_secret(folder):
    content = mesh_ca.cacerts(folder, "beijing")
    assert (folder / "root-key.pem").read_text() not in content.values()


def test_every_file_is_its_owners_alone(folder):
    mesh_ca.cacerts(folder, "beijing")
    files = [p for p in folder.rglob("*") if p.is_file()]
    assert len(files) == 4
    assert {stat.S_IMODE(p.stat().st_mode) for p in files} == {0o600}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_an_intermediate_that_ends_soon_is_made_anew_below_the_same_root(folder, monkeypatch):
    first = mesh_ca.cacerts(folder, "beijing")
    monkeypatch.setattr(
        mesh_ca, "RENEW_BEFORE", datetime.timedelta(days=certificates.VALIDITY_DAYS)
    )
    second = mesh_ca.cacerts(folder, "beijing")
    assert second["ca-cert.pem"] != first["ca-cert.pem"]
    assert second["root-cert.pem"] == first["root-cert.pem"]
    key = load_pem_private_key(second["ca-key.pem"].encode(), None)
    assert key.public_key() == load(second["ca-cert.pem"]).public_key()


def test_below_a_root_that_was_made_anew_no_old_intermediate_stays(folder):
    first = mesh_ca.cacerts(folder, "beijing")
    (folder / "root-cert.pem").unlink()
    second = mesh_ca.cacerts(folder, "beijing")
    assert second["root-cert.pem"] != first["root-cert.pem"]
    load(second["ca-cert.pem"]).verify_directly_issued_by(load(second["root-cert.pem"]))


@pytest.mark.parametrize("damage", ["", "-----BEGIN EC PRIVATE KEY-----\nCANARY\n"])
def test_a_damaged_key_is_told_without_its_text(folder, damage):
    mesh_ca.cacerts(folder, "beijing")
    text = (folder / "root-key.pem").read_text()
    (folder / "root-key.pem").write_text(damage or text[: len(text) // 2])
    with pytest.raises((ValueError, IsthmusError)) as caught:
        mesh_ca.cacerts(folder, "beijing")
    said = "".join(traceback.format_exception(caught.value))
    assert "CANARY" not in said
    assert not [line for line in text.splitlines()[1:-1] if line in said]


def test_an_istiod_that_signs_with_rsa_alone_gets_such_a_key_under_the_same_root(folder):
    first = mesh_ca.cacerts(folder, "beijing")
    content = mesh_ca.cacerts(folder, "beijing", "rsa")
    assert "BEGIN RSA PRIVATE KEY" in content["ca-key.pem"]
    assert load(content["ca-cert.pem"]).public_key().key_size == 3072
    load(content["ca-cert.pem"]).verify_directly_issued_by(load(content["root-cert.pem"]))
    assert content["root-cert.pem"] == first["root-cert.pem"]
    assert mesh_ca.cacerts(folder, "beijing", "rsa") == content
