"""What could not be looked at is said: a diagnosis that is blind must not look healthy."""

import pytest
from snapshots import changed, healthy

from isthmus.diagnosis import analysis


def found(snapshot):
    return analysis.analyze(snapshot, analysis.select(only=["F58"]))


def test_all_that_answered_is_no_finding():
    assert not found(healthy(2))


def test_a_kind_that_an_account_may_not_list_is_told_as_a_warning():
    seen = changed(healthy(), "shanghai", errors={"list NetworkPolicy": "HTTP 403 Forbidden"})
    [failure] = found(seen)
    assert (failure.clusters, failure.severity) == (("shanghai",), "warning")
    assert failure.evidence == ("list NetworkPolicy: HTTP 403 Forbidden",)


def test_proxies_that_did_not_answer_are_named_and_of_many_the_number():
    proxies = [
        proxy.model_copy(update={"errors": dict.fromkeys(("clusters", "node"), "timed out")})
        for proxy in healthy().cluster("shanghai").proxies
    ]
    [failure] = found(changed(healthy(), "shanghai", proxies=proxies))
    assert f"{proxies[0].pod}, clusters: timed out" in failure.evidence
    assert failure.evidence[-1] == f"and {2 * len(proxies) - 4} more"


def test_ways_that_were_not_tried_are_told_of_the_cluster_that_should_have():
    seen = healthy()
    skipped = [
        p.model_copy(update={"skipped": "sample/sleep has no curl", "connected": False})
        if p.source == "beijing"
        else p
        for p in seen.probes
    ]
    [failure] = found(seen.model_copy(update={"probes": skipped}))
    assert failure.clusters == ("beijing",)
    assert all("was not tried: sample/sleep has no curl" in fact for fact in failure.evidence)


def test_a_cluster_that_is_not_reached_is_another_finding():
    seen = changed(healthy(), "shanghai", reachable=False, errors={"list Pod": "no answer"})
    assert not found(seen)


@pytest.mark.parametrize("root", ["F43"])
def test_kubelets_that_are_not_reached_explain_it(root):
    seen = changed(
        healthy(),
        "shanghai",
        kubelet_errors=["exec in sample/sleep-1: no connection: timed out"],
        errors={"proxies": "no answer"},
    )
    told = analysis.analyze(seen, analysis.select(only=["F43", "F58"]))
    assert [(f.id, bool(f.explained_by)) for f in told] == [(root, False), ("F58", True)]
