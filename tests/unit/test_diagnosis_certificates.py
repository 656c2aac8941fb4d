"""diagnose names what is wrong with roots, intermediates, leaves and their ends."""

import copy

import pytest
from snapshots import (
    DAY,
    NOW,
    Trust,
    certificate,
    changed,
    edited,
    healthy,
    probed,
    root_pem,
)

from isthmus.diagnosis.analyzers import certificate_expiry, certificates, root_change, signing_ca

MODULES = (certificates, signing_ca, root_change, certificate_expiry)
OTHER = Trust("other")
OURS = Trust()


def diagnose(snapshot, wanted=""):
    every = [c for module in MODULES for c in module.ANALYZERS]
    found = [failure for check in every for failure in check.run(snapshot)]
    return [f for f in found if f.id == wanted] if wanted else found


def with_ca(name="beijing", snapshot=None, **fields):
    snapshot = snapshot or healthy()
    ca = snapshot.cluster(name).cacerts.model_copy(update=fields)
    return changed(snapshot, name, cacerts=ca)


def with_proxies(snapshot, name, **fields):
    proxies = [p.model_copy(update=fields) for p in snapshot.cluster(name).proxies]
    return changed(snapshot, name, proxies=proxies)


def of(trust, name, days=3650.0):
    """Return what the Secret of a cluster has that another root signs."""
    own = trust.intermediate(name)
    return {"signing": own, "chain": (own, trust.root), "roots": (trust.root,)}


@pytest.mark.parametrize("arguments", [(1,), (2,), (1, "guide"), (2, "istio-1.31", "direct")])
def test_a_healthy_mesh_has_no_finding(arguments):
    assert diagnose(healthy(*arguments)) == []


def test_proxies_of_two_roots_are_named_as_a_pair_with_what_each_trusts_and_presents():
    snapshot = with_proxies(
        healthy(stack="guide"), "shanghai", leaf=OTHER.leaf("shanghai", "x"), roots=(OTHER.root,)
    )
    found = [f for f in diagnose(snapshot, "F19") if len(f.clusters) == 2]
    assert sorted(f.clusters for f in found) == [("beijing", "shanghai"), ("shanghai", "beijing")]
    assert "of beijing trusts L=pair,CN=isthmus root CA" in found[0].evidence[0]
    assert "of shanghai presents a certificate issued by" in found[0].evidence[1]
    assert "CERTIFICATE_VERIFY_FAILED" in found[0].cause
    assert "isthmus up pair" in found[0].fix


def test_two_roots_that_all_trust_are_no_failure():
    snapshot = healthy(stack="guide")
    both = (OURS.root, OTHER.root)
    for name in ("beijing", "shanghai"):
        snapshot = with_proxies(snapshot, name, roots=both)
    snapshot = with_proxies(snapshot, "shanghai", leaf=OTHER.leaf("shanghai", "x"))
    assert [f for f in diagnose(snapshot, "F19") if len(f.clusters) == 2] == []


def test_a_root_renewed_with_its_old_key_is_the_same_root():
    renewed = OURS.root.model_copy(update={"fingerprint": "ff" * 32, "serial": "1"})
    assert diagnose(with_proxies(healthy(), "shanghai", roots=(renewed,))) == []


def test_a_root_of_the_same_name_and_another_key_is_another_root():
    again = OURS.root.model_copy(
        update={"fingerprint": "ff" * 32, "key_fingerprint": "ee" * 32, "subject_key_id": "aa" * 20}
    )
    assert diagnose(with_proxies(healthy(), "shanghai", roots=(again,)), "F19")


def test_a_namespace_with_another_root_is_named_with_how_to_have_it_written_anew():
    def change(item):
        item["data"]["root-cert.pem"] = root_pem("other")

    snapshot = healthy()
    found = copy.deepcopy(snapshot.cluster("shanghai").objects["ConfigMap"])
    for item in found:
        if item["metadata"].get("namespace") == "sample":
            change(item)
    objects = {**snapshot.cluster("shanghai").objects, "ConfigMap": found}
    [failure] = diagnose(changed(snapshot, "shanghai", objects=objects))
    assert (failure.id, failure.clusters) == ("F19", ("shanghai",))
    assert failure.evidence[0].startswith("in sample: L=other,CN=isthmus root CA")
    assert failure.fix.splitlines() == [
        "kubectl --context shanghai -n sample delete configmap istio-ca-root-cert",
        "isthmus up pair",
    ]


def test_a_config_map_that_holds_nothing_readable_says_nothing():
    def change(item):
        item["data"] = {"root-cert.pem": "no certificate"}

    name = "istio-ca-root-cert"
    assert diagnose(edited(healthy(), "shanghai", "ConfigMap", name, change)) == []


def test_secrets_of_two_roots_are_an_error_where_both_sign_and_else_a_warning():
    for stack, severity in (("guide", "error"), ("istio-1.31", "warning")):
        snapshot = with_ca("shanghai", healthy(stack=stack), **of(OTHER, "shanghai"))
        found = [f for f in diagnose(snapshot, "F19") if f.object == "Secret istio-system/cacerts"]
        assert [(f.clusters, f.severity) for f in found] == [(("shanghai",), severity)]


def test_a_signing_certificate_that_its_root_did_not_sign_is_named():
    [idle] = diagnose(with_ca("shanghai", signed_by_root=False))
    assert (idle.id, idle.severity) == ("F19", "warning")
    [found] = diagnose(with_ca(signed_by_root=False))
    assert (found.id, found.object) == ("F19", "Secret istio-system/cacerts")
    assert "does not verify against root-cert.pem" in found.cause
    assert found.fix == "isthmus up pair"


def test_a_chain_without_the_signing_certificate_is_an_error_and_a_wrong_order_a_warning():
    [found] = diagnose(with_ca(chain=(OURS.root,)))
    assert (found.id, found.severity) == ("F19", "error")
    assert "lacks the signing certificate" in found.cause
    own = OURS.intermediate("beijing")
    [found] = diagnose(with_ca(chain=(OURS.root, own)))
    assert (found.id, found.severity) == ("F19", "warning")
    assert "cert-chain.pem is not in order" in found.cause


def test_an_intermediate_of_an_intermediate_in_order_is_no_failure():
    middle = certificate("CN=middle", OURS.root, days=3650, is_ca=True)
    own = certificate("CN=own", middle, days=3650, is_ca=True)
    snapshot = with_ca("shanghai", signing=own, chain=(own, middle), roots=(OURS.root,))
    assert diagnose(snapshot) == []


def test_a_missing_secret_is_a_warning_of_what_the_next_start_makes():
    [found] = diagnose(changed(healthy(), "beijing", cacerts=None))
    assert (found.id, found.severity, found.fix) == ("F20", "warning", "isthmus up pair")
    asked = changed(healthy(), "beijing", cacerts=None, errors={"cacerts": "403"})
    assert diagnose(asked) == []


def test_a_remote_without_an_istiod_needs_no_secret():
    assert diagnose(changed(healthy(), "shanghai", cacerts=None)) == []


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"key_matches": False}, "its key is not that of its signing certificate"),
        ({"missing": ("ca-key.pem",)}, "it lacks ca-key.pem"),
        ({"error": "no PEM", "signing": None, "chain": (), "roots": ()}, "cannot be read"),
    ],
)
def test_a_secret_that_istiod_does_not_take_is_named(fields, word):
    [found] = diagnose(with_ca(**fields))
    assert (found.id, found.clusters) == ("F20", ("beijing",))
    assert word in found.evidence[0]


def new_intermediate():
    own = certificate("CN=new", OURS.root, days=3650, is_ca=True, before=NOW - DAY / 2)
    return {"signing": own, "chain": (own, OURS.root), "changed_at": NOW - DAY / 2}


def test_an_istiod_that_signs_with_the_former_intermediate_is_named():
    [found] = diagnose(with_ca(**new_intermediate()))
    assert (found.id, found.clusters) == ("F20", ("beijing",))
    assert found.evidence[0].startswith("cacerts signs as CN=new")
    assert "istiod at istiod.istio-system.svc:15012 presents" in found.evidence[1]
    assert "cacerts changed 2026-09-21 02:13:20 UTC" in found.evidence[-1]
    assert found.fix == (
        "kubectl --context beijing -n istio-system rollout restart deployment/istiod"
    )


def test_proxies_may_hold_leaves_of_the_former_intermediate():
    now = new_intermediate() | {"changed_at": NOW - DAY / 8}
    leaf = certificate("", now["signing"], days=1, before=NOW - DAY / 8)
    snapshot = probed(
        with_ca(**now),
        lambda p: p.purpose in ("istiod", "webhook"),
        certificates=(leaf, *now["chain"]),
    )
    assert diagnose(snapshot) == []


def test_a_secret_that_was_changed_this_minute_may_not_have_been_seen_yet():
    [found] = diagnose(with_ca(**new_intermediate() | {"changed_at": NOW - 60}))
    assert (found.id, found.severity, found.certain) == ("F20", "warning", False)
    assert "about once a minute" in found.cause


def test_the_istiod_of_a_remote_is_judged_by_its_own_secret():
    snapshot = with_ca("shanghai", healthy(stack="guide"), **new_intermediate())
    [found] = diagnose(snapshot, "F20")
    assert found.clusters == ("shanghai",)
    assert "reads cacerts at its start alone" in found.cause


def test_a_new_root_that_no_proxy_knows_is_named_with_istiods_own_words():
    snapshot = with_ca(**of(OTHER, "beijing"))
    istiod = snapshot.host.istiods[0].model_copy(
        update={"log": ("warn Multi root is disabled, updating new ROOT-CA not supported",)}
    )
    found = diagnose(changed(snapshot, "beijing", istiods=[istiod]))
    assert [f.id for f in found] == ["F19", "F34"]  # the other cluster's Secret, too
    assert found[0].severity == "warning"
    assert any("Multi root is disabled" in line for line in found[1].evidence)
    assert "not trusted by 6 proxies" in found[1].evidence[1]
    assert found[1].certain and "ISTIO_MULTIROOT_MESH=true" in found[1].cause


def test_a_new_root_may_be_on_its_way_only_where_istiod_takes_roots():
    snapshot = with_ca(**of(OTHER, "beijing"), changed_at=NOW - 60)
    assert [f.id for f in diagnose(snapshot, "F34")] == ["F34"]
    env = {"ISTIO_MULTIROOT_MESH": "true"}
    istiod = snapshot.host.istiods[0].model_copy(update={"env": env})
    assert diagnose(changed(snapshot, "beijing", istiods=[istiod]), "F34") == []


def test_a_second_root_that_all_proxies_hold_is_no_failure():
    both = (OURS.root, OTHER.root)
    snapshot = with_ca(roots=both)
    for name in ("beijing", "shanghai"):
        snapshot = with_proxies(snapshot, name, roots=both)
    assert diagnose(snapshot) == []


def test_a_second_root_that_one_proxy_lacks_is_named_with_it():
    both = (OURS.root, OTHER.root)
    snapshot = with_proxies(with_proxies(with_ca(roots=both), "shanghai", roots=both), "beijing")
    proxies = snapshot.host.proxies
    kept = [p if p.pod == "sleep-5b-1" else p.model_copy(update={"roots": both}) for p in proxies]
    [found] = diagnose(changed(snapshot, "beijing", proxies=kept))
    assert found.id == "F34"
    assert "not trusted by 1 proxies, such as sample/sleep-5b-1 of beijing" in found.evidence


def intermediate(left, life=3650.0):
    before = NOW - (life - left) * DAY
    return certificate("CN=own", OURS.root, days=life, before=before, is_ca=True)


@pytest.mark.parametrize(
    ("left", "severity"),
    [(100, None), (80, "warning"), (8, "warning"), (6, "error"), (-1, "error")],
)
def test_an_intermediate_is_told_of_90_days_before_its_end_and_is_an_error_in_the_last_week(
    left, severity
):
    own = intermediate(left)
    snapshot = with_ca("beijing", signing=own, chain=(own, OURS.root), changed_at=NOW)
    found = diagnose(snapshot, "F21")
    assert [f.severity for f in found] == ([severity] if severity else [])
    if found:
        assert "notAfter" in found[0].evidence[0]
        assert found[0].object.startswith("Secret istio-system/cacerts: CN=own")
        assert found[0].fix.splitlines()[0] == "isthmus up pair"


def test_a_ca_that_is_made_for_60_days_is_told_of_in_its_last_fifth():
    def left(days):
        own = intermediate(days, 60.0)
        return with_ca("beijing", signing=own, chain=(own, OURS.root), changed_at=NOW)

    assert diagnose(left(15), "F21") == []
    assert [f.severity for f in diagnose(left(11), "F21")] == ["warning"]


def test_a_ca_with_less_than_a_week_is_told_of_however_short_its_life():
    own = intermediate(5, 5.0)
    snapshot = with_ca("shanghai", signing=own, chain=(own, OURS.root), changed_at=NOW)
    [found] = diagnose(snapshot)
    assert (found.id, found.clusters, found.severity) == ("F21", ("shanghai",), "warning")
    guide = with_ca("shanghai", healthy(stack="guide"), **{"signing": own, "changed_at": NOW})
    assert [f.severity for f in diagnose(guide, "F21")] == ["error"]


def test_a_root_that_ends_is_changed_in_moves():
    root = certificate("CN=root", days=3650, before=NOW - 3600 * DAY, is_ca=True)
    snapshot = with_ca("beijing", roots=(OURS.root, root), changed_at=NOW)
    [found] = diagnose(snapshot, "F21")
    assert "three moves" in found.fix


def test_proxies_that_did_not_renew_are_told_of_once_a_cluster():
    leaf = (certificate("", OURS.intermediate("beijing"), days=1, before=NOW - 2 * DAY),)
    proxies = [
        p.model_copy(update={"leaf": (leaf[0].model_copy(update={"fingerprint": p.pod}),)})
        for p in healthy().cluster("shanghai").proxies
    ]
    [found] = diagnose(changed(healthy(), "shanghai", proxies=proxies), "F21")
    assert (found.clusters, found.severity) == (("shanghai",), "error")
    assert found.evidence[1].count("of shanghai") == 3
    assert len(found.fix.splitlines()) == 3
    assert "kubectl --context shanghai -n sample delete pod sleep-5b-1" in found.fix


def test_an_api_servers_certificate_that_ends_is_told():
    leaf = certificate("CN=kube-apiserver", before=NOW - 360 * DAY, sans=("kubernetes",))
    ill = probed(healthy(), lambda p: p.purpose == "api-server", certificates=(leaf,))
    [found] = diagnose(ill, "F21")
    assert (found.clusters, found.severity) == (("shanghai",), "error")
    assert "kubeadm certs renew" in found.fix


def test_a_certificate_of_the_future_is_told_as_a_clock():
    own = certificate("CN=own", OURS.root, days=3650, before=NOW + DAY, is_ca=True)
    snapshot = with_ca("beijing", signing=own, chain=(own, OURS.root), changed_at=NOW)
    [found] = diagnose(snapshot, "F21")
    assert "clock" in found.cause and not found.certain
    assert "1 day after the snapshot" in found.evidence[0]


def test_an_old_snapshot_is_judged_by_its_own_time():
    later = healthy().model_copy(update={"taken_at": NOW + 20 * 365 * DAY})
    assert {f.id for f in diagnose(later)} >= {"F21"}
